package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Names are files below one directory, by their paths from there, in key
// order. Each takes the bytes of its path and 8 more, and while they are read
// up to twice that.
type Names struct {
	arena []byte
	index []uint64 // offset in 48 bits, length in 16
}

// What can be wrong with a list of names. They come wrapped with the line's
// number.
var (
	ErrOutside = errors.New("not a path below the source directory")
	ErrList    = errors.New("not a list of paths")
)

// ReadNames reads a list of paths, one a line or, with zero, each ended by a
// NUL. Empty lines do not count, nor do repetitions.
func ReadNames(r io.Reader, zero bool) (*Names, error) {
	n := &Names{}
	end := byte('\n')
	if zero {
		end = 0
	}
	b := bufio.NewReaderSize(r, scanNameMax+2)
	for line := 1; ; line++ {
		raw, err := b.ReadSlice(end)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("%w: it is longer than any path", ErrList)
			}
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		text := bytes.TrimSuffix(raw, []byte{end})
		if line == 1 && !zero {
			text = bytes.TrimPrefix(text, []byte("\uFEFF"))
			if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
				return nil, fmt.Errorf("line 1: %w: it is UTF-16, UTF-8 is needed", ErrList)
			}
		}
		if !zero {
			text = bytes.TrimSuffix(text, []byte("\r"))
		}
		if nerr := n.add(string(text)); nerr != nil {
			return nil, fmt.Errorf("line %d: %w", line, nerr)
		}
		if last {
			n.sort()
			return n, nil
		}
	}
}

func (n *Names) add(name string) error {
	if strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("%w: there is a NUL in it", ErrList)
	}
	if filepath.IsAbs(name) {
		return fmt.Errorf("%q: %w", name, ErrOutside)
	}
	name = path.Clean(filepath.ToSlash(name))
	switch {
	case name == ".":
		return nil // an empty line, or the directory itself
	case name == ".." || strings.HasPrefix(name, "../") || path.IsAbs(name) || filepath.VolumeName(name) != "":
		return fmt.Errorf("%q: %w", name, ErrOutside)
	}
	n.index = append(n.index, uint64(len(n.arena))<<16|uint64(len(name)))
	n.arena = append(n.arena, name...)
	return nil
}

func (n *Names) sort() {
	slices.SortFunc(n.index, func(a, b uint64) int { return bytes.Compare(n.text(a), n.text(b)) })
	n.index = slices.CompactFunc(n.index, func(a, b uint64) bool { return bytes.Equal(n.text(a), n.text(b)) })
}

// Len is how many names there are.
func (n *Names) Len() int { return len(n.index) }

func (n *Names) text(x uint64) []byte { return n.arena[x>>16:][:x&0xffff] }
func (n *Names) at(i int) string      { return string(n.text(n.index[i])) }

// from is the index of the first name that is not less than key.
func (n *Names) from(key string) int {
	return sort.Search(len(n.index), func(i int) bool { return string(n.text(n.index[i])) >= key })
}

// below reports whether some name lies below dir, which ends in "/".
func (n *Names) below(dir string) bool {
	i := n.from(dir)
	return i < len(n.index) && bytes.HasPrefix(n.text(n.index[i]), []byte(dir))
}

// scanOnly is a file system in which directories hold only the names of a list,
// whether or not those exist: looking at one that does not fails then.
type scanOnly struct {
	scanFS
	names   *Names
	root    string // ends in a separator
	readers int
}

func newScanOnly(files scanFS, sources []Source, o ScanOptions) (*scanOnly, error) {
	if len(sources) != 1 || !sources[0].Dir {
		return nil, errors.New("names are those of files below one directory")
	}
	root := filepath.Clean(sources[0].Path)
	if !os.IsPathSeparator(root[len(root)-1]) {
		root += string(os.PathSeparator)
	}
	return &scanOnly{files, o.Only, root, o.Readers}, nil
}

func (f *scanOnly) rel(dir string) string {
	return filepath.ToSlash(strings.TrimPrefix(dir, f.root))
}

func (f *scanOnly) list(ctx context.Context, dir string, each func(string, fs.FileMode) error) error {
	type named struct {
		name string
		dir  bool // names lie below it
		mode fs.FileMode
		skip bool
	}
	rel := f.rel(dir)
	batch := make([]named, 0, scanBatch)
	for i := f.names.from(rel); ; {
		batch = batch[:0]
		for len(batch) < scanBatch && i < f.names.Len() {
			name, found := strings.CutPrefix(f.names.at(i), rel)
			if !found {
				break
			}
			if first, _, more := strings.Cut(name, "/"); more {
				batch = append(batch, named{name: first, dir: true})
				i = f.names.from(rel + first + "0") // behind all that begins with first and "/"
				continue
			}
			batch = append(batch, named{name: name})
			i++
		}
		if len(batch) == 0 {
			return nil
		}
		scanEach(ctx, len(batch), f.readers, func(i int) {
			n := &batch[i]
			if n.dir {
				n.mode = f.between(dir + n.name)
				return
			}
			fi, err := f.lstat(dir + n.name)
			if err == nil {
				n.mode = fi.Mode().Type()
			}
			// A directory that is in the list beside what lies below it comes
			// once, for that.
			n.skip = err == nil && f.leadsDown(dir+n.name, n.mode) && f.names.below(rel+n.name+"/")
		})
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, n := range batch {
			if n.skip {
				continue
			}
			if err := each(n.name, n.mode); err != nil {
				return err
			}
		}
	}
}

// between is the type of what should be a directory. What is none counts as one,
// so that each name below it fails for itself.
func (f *scanOnly) between(path string) fs.FileMode {
	if fi, err := f.lstat(path); err == nil && !fi.IsDir() && f.leadsDown(path, fi.Mode().Type()) {
		return fi.Mode().Type()
	}
	return fs.ModeDir
}

// leadsDown reports whether path, of this type, is or leads to a directory.
func (f *scanOnly) leadsDown(path string, mode fs.FileMode) bool {
	if mode.IsDir() || mode&(fs.ModeSymlink|fs.ModeIrregular) == 0 {
		return mode.IsDir()
	}
	fi, err := f.stat(path)
	return err == nil && fi.IsDir()
}
