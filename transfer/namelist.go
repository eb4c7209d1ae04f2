package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// NameList keeps names in byte order, with a number each, in a temporary file:
// there may be more of them than memory should hold. Of each only that is
// written in which it differs from the one before.
type NameList struct {
	file *os.File
	gone bool // it has no name any more: closing it is all
	w    *bufio.Writer
	last string
	n    int64
	err  error // the first of writing
}

// NewNameList makes an empty list in dir, "" for the system's place.
func NewNameList(dir string) (*NameList, error) {
	f, err := os.CreateTemp(dir, "names-*.tmp")
	if err != nil {
		return nil, &Error{Op: "create", Path: dir, Err: fmt.Errorf("%w: %w", ErrLocal, plain(err))}
	}
	// Where an open file can be removed, a crash leaves nothing.
	gone := os.Remove(f.Name()) == nil
	return &NameList{file: f, gone: gone, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// Close removes the list. No list has none, as it has no names.
func (l *NameList) Close() error {
	if l == nil {
		return nil
	}
	err := l.file.Close()
	if !l.gone {
		err = errors.Join(err, os.Remove(l.file.Name()))
	}
	return err
}

// Len is how many names there are.
func (l *NameList) Len() int64 {
	if l == nil {
		return 0
	}
	return l.n
}

// add appends a name, which is not less than the one before. An error is kept
// for all.
func (l *NameList) add(name string, number uint64) { l.addNamed(named{name: name, number: number}) }

func (l *NameList) addNamed(n named) {
	name := n.name
	if l.err != nil {
		return
	}
	if name < l.last && l.n > 0 {
		l.err = fmt.Errorf("%w: %q came behind %q", ErrUnsorted, name, l.last)
		return
	}
	same := 0
	for same < len(name) && same < len(l.last) && name[same] == l.last[same] {
		same++
	}
	var head [4 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], uint64(same))
	b = binary.AppendUvarint(b, uint64(len(name[same:])))
	b = binary.AppendUvarint(b, n.number)
	b = binary.AppendVarint(b, n.mtime)
	_, err := l.w.Write(b)
	if err == nil {
		_, err = l.w.WriteString(name[same:])
	}
	l.last, l.n, l.err = name, l.n+1, err
}

// all yields the names with their numbers. It ends with the first error, of
// having written them too.
func (l *NameList) all() iter.Seq2[named, error] {
	return func(yield func(named, error) bool) {
		if l == nil {
			return
		}
		if err := errors.Join(l.err, l.w.Flush()); err != nil {
			yield(named{}, l.local(err))
			return
		}
		r := bufio.NewReaderSize(io.NewSectionReader(l.file, 0, 1<<62), 64<<10)
		var name []byte
		for range l.n {
			same, err := binary.ReadUvarint(r)
			more, err2 := binary.ReadUvarint(r)
			number, err3 := binary.ReadUvarint(r)
			mtime, err4 := binary.ReadVarint(r)
			if err = errors.Join(err, err2, err3, err4); err == nil && (same > uint64(len(name)) || more > 1<<20) {
				err = errors.New("it is damaged")
			}
			if err == nil {
				name = append(name[:same], make([]byte, more)...)
				_, err = io.ReadFull(r, name[same:])
			}
			if err != nil {
				yield(named{}, l.local(err))
				return
			}
			if !yield(named{string(name), number, mtime}, nil) {
				return
			}
		}
	}
}

func (l *NameList) local(err error) error {
	if errors.Is(err, ErrUnsorted) {
		return &Error{Op: "list", Err: err}
	}
	return &Error{Op: "list of names", Err: fmt.Errorf("%w: %w", ErrLocal, plain(err))}
}

// named is a name of a NameList.
type named struct {
	name   string
	number uint64
	mtime  int64 // Unix time in ns of the file that has the name; 0 for none
}

// nameCursor finds names in a list, in their order.
type nameCursor struct {
	next func() (named, error, bool)
	stop func()
	head named
	have bool
	end  bool
}

func newNameCursor(l *NameList) *nameCursor {
	c := &nameCursor{}
	c.next, c.stop = iter.Pull2(l.all())
	return c
}

// find reports whether name is in the list.
func (c *nameCursor) find(name string) (bool, error) {
	for !c.end && (!c.have || c.head.name < name) {
		var err error
		var ok bool
		if c.head, err, ok = c.next(); err != nil {
			c.end = true
			return false, err
		}
		c.have, c.end = ok, !ok
	}
	return c.have && c.head.name == name, nil
}

// rest reads what is left, for an error that it may end with.
func (c *nameCursor) rest() error {
	for !c.end {
		_, err, ok := c.next()
		if c.end = !ok; err != nil {
			return err
		}
	}
	return nil
}
