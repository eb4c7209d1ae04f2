package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// load is a directory of files: so many of each size.
type load struct {
	shares    []share
	scaleSize bool // scale the sizes of the files, not their numbers
	sparse    bool // holes alone: they are read as zeros and take no space
}

// share is a number of files of one size.
type share struct {
	files int
	size  int64 // bytes
}

// same is a load of one size.
func same(files int, size int64) load { return load{shares: []share{{files, size}}} }

func (l load) scaled(by float64) load {
	shares := slices.Clone(l.shares)
	for i := range shares {
		if l.scaleSize {
			shares[i].size = max(int64(float64(shares[i].size)*by), 1)
		} else {
			shares[i].files = max(int(float64(shares[i].files)*by), 1)
		}
	}
	l.shares = shares
	return l
}

func (l load) equal(other load) bool {
	return l.sparse == other.sparse && slices.Equal(l.shares, other.shares)
}

func (l load) files() (n int) {
	for _, s := range l.shares {
		n += s.files
	}
	return n
}

func (l load) bytes() (n int64) {
	for _, s := range l.shares {
		n += int64(s.files) * s.size
	}
	return n
}

// disk is what the files take of a disk, in bytes.
func (l load) disk() int64 {
	if l.sparse {
		return 0
	}
	return l.bytes()
}

// perFolder is how many files share a directory.
const perFolder = 1000

// write makes the files in dir, with bytes that nothing can compress. They are
// in the page cache afterwards: what is measured is a client, not a disk.
func (l load) write(dir string) error {
	block := make([]byte, mib)
	src := rand.NewChaCha8([32]byte{1})
	i := 0
	for _, s := range l.shares {
		for range s.files {
			folder := filepath.Join(dir, fmt.Sprintf("%03d", i/perFolder))
			if i%perFolder == 0 {
				if err := os.MkdirAll(folder, 0o750); err != nil {
					return err
				}
			}
			_, _ = src.Read(block[:min(s.size, mib)]) // never fails
			if err := l.writeFile(filepath.Join(folder, fmt.Sprintf("%06d.tif", i)), s.size, block); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

func (l load) writeFile(path string, size int64, block []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if l.sparse {
		err = f.Truncate(size)
		size = 0
	}
	for left := size; left > 0 && err == nil; left -= int64(len(block)) {
		_, err = f.Write(block[:min(left, int64(len(block)))])
	}
	if err == nil && size >= mib {
		// Else the disk is busy with it while the first round is measured.
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
