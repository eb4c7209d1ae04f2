package gauge

import (
	"crypto/rand"
	"io"
)

// blockSize is how much made-up data is held, however much is sent.
const blockSize = 1 << 20

// Data is an endless file of made-up bytes: a block of random ones, again and
// again, each time turned a little further. Nothing on the way makes it smaller,
// and neither disk nor much memory is needed for it.
type Data struct {
	block []byte
	from  int64 // where the file begins in the endless one
}

var _ io.ReaderAt = Data{}

// NewData makes a block of random bytes.
func NewData() Data {
	b := make([]byte, blockSize)
	_, _ = rand.Read(b) // never fails
	return Data{block: b}
}

// From is the same endless file from another place on: another object's bytes.
func (d Data) From(off int64) Data { return Data{block: d.block, from: d.from + off} }

// turn is how much further each repetition is turned; it has no factor in common
// with the block's size, so it takes a tebibyte until one comes again.
const turn = 7919

// ReadAt always fills p.
func (d Data) ReadAt(p []byte, off int64) (int, error) {
	n := int64(len(d.block))
	for done := 0; done < len(p); {
		at := d.from + off + int64(done)
		round, in := at/n, at%n
		begin := (in + round%n*turn) % n
		// Neither beyond the block's end nor into the next repetition.
		end := min(n, begin+n-in)
		done += copy(p[done:], d.block[begin:end])
	}
	return len(p), nil
}
