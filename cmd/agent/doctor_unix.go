//go:build !windows

package main

import (
	"math"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// networked are the numbers that Linux gives the file systems of networks.
var networked = map[int64]string{
	0x6969: "NFS", 0x0bd00bd3: "Lustre", 0x47504653: "GPFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB",
	0x65735546: "FUSE", 0x00c36400: "Ceph", 0x19830326: "BeeGFS", 0x5346414f: "AFS",
}

// roomIn is how many bytes this user may still write below dir, and the name of
// its file system where that is one of a network.
func roomIn(dir string) (free int64, network string, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, "", err
	}
	free = math.MaxInt64
	if blocks, size := st.Bavail, uint64(st.Bsize); size > 0 && uint64(blocks) < math.MaxInt64/size { //nolint:gosec,unconvert // their types differ between systems
		free = int64(uint64(blocks) * size) //nolint:gosec,unconvert // it is below MaxInt64
	}
	if runtime.GOOS == "linux" {
		network = networked[int64(st.Type)&0xffffffff] //nolint:unconvert // its type differs between systems
	}
	return free, network, nil
}

// openFiles is how many files and connections this process may have open.
func openFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(l.Cur), math.MaxInt32)) //nolint:unconvert // its type differs between systems
}
