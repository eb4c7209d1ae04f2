package s3store

const tcpNotSentLowat = 0x201 // TCP_NOTSENT_LOWAT of <netinet/tcp.h>
