//go:build linux || darwin

package s3store

import "syscall"

// unsent is how many bytes may wait in the system for a connection to take
// them. Its default is megabytes a connection: a part would count as moved long
// before it left, and a stall would be noticed late.
const unsent = 256 << 10

// keepShort bounds what waits unsent in a socket. It may fail: then the system's
// default stands.
func keepShort(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, unsent)
	})
}
