package s3store

import "golang.org/x/sys/unix"

const tcpNotSentLowat = unix.TCP_NOTSENT_LOWAT
