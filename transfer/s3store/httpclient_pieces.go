package s3store

import (
	"errors"
	"io"
	"sync"
)

// pieceSize is how much of a large body is read, summed, encrypted and written at
// a time: few system calls, and the bytes stay in a core's cache meanwhile.
const pieceSize = 128 << 10

// recordRoom is what TLS adds to a piece, and more.
const recordRoom = 1 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize+recordRoom); return &b }}

func takePiece() *[]byte { return pieces.Get().(*[]byte) }

// inPieces writes what r has to w.
func inPieces(w io.Writer, r io.Reader) (n int64, err error) {
	p := takePiece()
	defer pieces.Put(p)
	for {
		m, rerr := r.Read((*p)[:pieceSize])
		if m > 0 {
			k, werr := w.Write((*p)[:m])
			n += int64(k)
			if werr != nil {
				return n, werr
			}
		}
		switch {
		case errors.Is(rerr, io.EOF):
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}
