package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// spool keeps keys and sizes in a file, in the order in which they come. The
// file is made with the first of them.
type spool struct {
	path   string
	prefix string // of all keys
	f      *os.File
	w      *bufio.Writer
	n      int64
}

func (s *spool) add(key string, size int64) (err error) {
	if s.f == nil {
		if s.f, err = os.OpenFile(s.path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600); err != nil {
			return err
		}
		s.w = bufio.NewWriterSize(s.f, 64<<10)
	}
	s.n++
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(size)), uint64(len(key))) //nolint:gosec // sizes are not negative
	if _, err = s.w.Write(head); err == nil {
		_, err = s.w.WriteString(key)
	}
	return err
}

var errSpool = errors.New("what was noted there is not what is read")

// each reads all that was added, from the start.
func (s *spool) each(do func(key string, size int64) error) error {
	if s.f == nil {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.f, 0, 1<<62), 64<<10)
	for range s.n {
		size, err := binary.ReadUvarint(r)
		var length uint64
		if err == nil {
			length, err = binary.ReadUvarint(r)
		}
		if err != nil || length > 64<<10 {
			return fmt.Errorf("%s: %w", s.path, errors.Join(errSpool, err))
		}
		key := make([]byte, length)
		if _, err := io.ReadFull(r, key); err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		if !strings.HasPrefix(string(key), s.prefix) {
			return fmt.Errorf("%s: %w", s.path, errSpool)
		}
		if err := do(string(key), int64(size)); err != nil { //nolint:gosec // as it was added
			return err
		}
	}
	return nil
}

func (s *spool) close() {
	if s.f != nil {
		_ = s.f.Close()
		_ = os.Remove(s.path) // what is left of it is overwritten next time
		s.f = nil
	}
}
