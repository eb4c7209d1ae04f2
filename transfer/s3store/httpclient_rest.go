//go:build !linux && !darwin

package s3store

import "syscall"

// keepShort does nothing where the system has no such bound.
func keepShort(_, _ string, _ syscall.RawConn) error { return nil }
