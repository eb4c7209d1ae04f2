package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// load is a directory of files of one size.
type load struct {
	files     int
	size      int64
	scaleSize bool // scale the size of the files, not their number
}

func (l load) scaled(by float64) load {
	if l.scaleSize {
		l.size = max(int64(float64(l.size)*by), 1)
	} else {
		l.files = max(int(float64(l.files)*by), 1)
	}
	return l
}

func (l load) bytes() int64 { return int64(l.files) * l.size }

// perFolder is how many files share a directory.
const perFolder = 1000

// write makes the files in dir, with bytes that nothing can compress. They are
// in the page cache afterwards: what is measured is a client, not a disk.
func (l load) write(dir string) error {
	seed := [32]byte{1}
	block := make([]byte, min(l.size, mib))
	src := rand.NewChaCha8(seed)
	for i := range l.files {
		_, _ = src.Read(block) // never fails
		folder := filepath.Join(dir, fmt.Sprintf("%03d", i/perFolder))
		if i%perFolder == 0 {
			if err := os.MkdirAll(folder, 0o750); err != nil {
				return err
			}
		}
		if err := l.writeFile(filepath.Join(folder, fmt.Sprintf("%06d.tif", i)), block); err != nil {
			return err
		}
	}
	return nil
}

func (l load) writeFile(path string, block []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for left := l.size; left > 0 && err == nil; left -= int64(len(block)) {
		_, err = f.Write(block[:min(left, int64(len(block)))])
	}
	if err == nil && l.size >= mib {
		// Else the disk is busy with it while the first round is measured.
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
