package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// scanKind is what is known of a directory entry before it is looked at.
type scanKind uint8

const (
	scanFile   scanKind = iota
	scanSubdir          // a directory
	scanLink            // a symbolic link, to no directory if links are followed
	scanAlias           // what the system resolves, but is no symbolic link: junctions, cloud files
	scanJump            // a link or an alias that leads to a directory
	scanPipe            // socket, fifo or device
	scanMarker          // no entry, but the empty object that stands for the directory
)

func (k scanKind) dir() bool { return k == scanSubdir || k == scanJump }

// scanNames holds a directory's names as compactly as can be: one behind the
// other in chunks, each followed by a '/' that counts only for directories, so
// that they sort as their keys do. An index is the chunk and the offset in it, in
// 20 bits each, the length in 16, the kind in 8. Chunks never move: a million
// names that do would take twice their size on the way.
type scanNames struct {
	chunks [][]byte
	index  []uint64
}

const (
	scanNameMax  = 1<<16 - 2
	scanChunkMin = 1 << 12
	scanChunkMax = 1 << 18
	scanKeepable = 1 << 15 // names; an index for more is not kept for the next directory
)

func (n *scanNames) len() int            { return len(n.index) }
func (n *scanNames) kind(i int) scanKind { return scanKind(n.index[i]) } //nolint:gosec // its low byte is meant
func (n *scanNames) name(i int) []byte   { return n.text(n.index[i]) }
func (n *scanNames) text(x uint64) []byte {
	return n.chunks[x>>44][x>>24&0xfffff:][:x>>8&0xffff]
}

func (n *scanNames) add(name string, k scanKind) {
	length := len(name)
	if k.dir() {
		length++
	}
	last := len(n.chunks) - 1
	if last < 0 || cap(n.chunks[last])-len(n.chunks[last]) <= len(name) {
		size := scanChunkMin
		if last >= 0 {
			size = min(2*cap(n.chunks[last]), scanChunkMax)
		}
		n.chunks = append(n.chunks, make([]byte, 0, max(size, len(name)+1)))
		last++
	}
	chunk := n.chunks[last]
	n.index = append(n.index, uint64(last)<<44|uint64(len(chunk))<<24|uint64(length)<<8|uint64(k)) //nolint:gosec // last is not negative
	n.chunks[last] = append(append(chunk, name...), '/')
}

// jump makes a link or an alias one that leads to a directory.
func (n *scanNames) jump(i int) {
	n.index[i] = n.index[i]&^0xff + 1<<8 | uint64(scanJump)
}

func (n *scanNames) sort() {
	slices.SortFunc(n.index, func(a, b uint64) int { return bytes.Compare(n.text(a), n.text(b)) })
}

// reset empties n for another directory.
func (n *scanNames) reset() {
	if cap(n.index) > scanKeepable {
		*n = scanNames{}
	}
	if last := len(n.chunks) - 1; last >= 0 {
		n.chunks[0] = n.chunks[last][:0] // the largest
		clear(n.chunks[1:])
		n.chunks = n.chunks[:1]
	}
	n.index = n.index[:0]
}

// scanDir is a directory on the way down.
type scanDir struct {
	path   string // ends in a separator
	key    string // "" or ends in "/"
	zarr   string // the outermost Zarr store it belongs to
	jumped bool   // a link was followed on the way
	info   fs.FileInfo
	names  scanNames
	at     int        // the next name
	looked []Entry    // by name, where they were looked at when it was read; those of directories are empty
	below  *scanBelow // what reads its sub-directories ahead; nil when nothing does
}

// errScanMany is what read says of a directory that has more names than it may.
var errScanMany = errors.New("more names than are read ahead")

// read fills d with its names in order; most is how many there may be, 0 for
// no limit. When that fails, d has those that were read before.
func (s *scanner) read(ctx context.Context, d *scanDir, most int) error {
	if !os.IsPathSeparator(d.path[len(d.path)-1]) {
		d.path += string(os.PathSeparator)
	}
	var zarr, taken bool
	err := s.files.list(ctx, d.path, func(name string, mode fs.FileMode) error {
		if len(name) > scanNameMax {
			return ErrName
		}
		if most > 0 && d.names.len() == most {
			return errScanMany
		}
		k := scanKindOf(mode)
		d.names.add(name, k)
		zarr = zarr || k != scanSubdir && scanIsZarrMeta(name)
		taken = taken || k != scanSubdir && name == s.o.DirMarkers
		if d.names.len()%scanBatch == 0 {
			return ctx.Err()
		}
		return nil
	})
	if errors.Is(err, errScanMany) {
		return err
	}
	if zarr && d.zarr == "" {
		d.zarr = scanBare(d.path)
	}
	s.resolve(ctx, d)
	if s.o.DirMarkers != "" && !taken && d.key != "" && err == nil && s.leaveOut(d.key+s.o.DirMarkers) == "" {
		d.names.add(s.o.DirMarkers, scanMarker)
	}
	d.names.sort()
	return err
}

// resolve finds the links that lead to directories: they sort as such.
func (s *scanner) resolve(ctx context.Context, d *scanDir) {
	var links []int
	for i := range d.names.len() {
		k := d.names.kind(i)
		if k == scanAlias || k == scanLink && !s.o.NoFollowSymlinks {
			links = append(links, i)
		}
	}
	scanEach(ctx, len(links), s.o.Readers, func(i int) {
		fi, err := s.files.stat(d.path + string(d.names.name(links[i])))
		if err == nil && fi.IsDir() {
			d.names.jump(links[i])
		}
	})
}

func scanKindOf(mode fs.FileMode) scanKind {
	switch {
	case mode&fs.ModeSymlink != 0:
		return scanLink
	case mode.IsDir():
		return scanSubdir
	case scanSpecial(mode) != "":
		return scanPipe
	case mode&fs.ModeIrregular != 0:
		return scanAlias
	}
	return scanFile
}

// loop tells whether the directory about to be entered at path is one of
// those on the way to it, and which.
func (s *scanner) loop(path string, above []*scanDir) error {
	info, err := s.files.stat(path)
	if err != nil {
		return err
	}
	for _, d := range above {
		if d.info == nil {
			if d.info, err = s.files.stat(d.path); err != nil {
				continue
			}
		}
		if os.SameFile(info, d.info) {
			return fmt.Errorf("%w: it leads back to %s", ErrLoop, scanBare(d.path))
		}
	}
	return nil
}
