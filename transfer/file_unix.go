//go:build unix && !linux

package transfer

import "syscall"

const dontWait = syscall.O_NONBLOCK
