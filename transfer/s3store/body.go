package s3store

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"

	"agent/transfer"
	"agent/transfer/checksum"
)

// scanSize is the piece in which a body that is not buffered is read for its
// checksum: small enough to stay in a core's cache between read and sum.
const scanSize = 128 << 10

// buffers are reused by size class. A fixed number of lanes bounds how many are
// out: at most Parallel of at most share bytes, or four times that of smallSize.
// Where it is automatic, most does.
type buffers struct {
	share int64 // bytes; what is larger is read twice instead of buffered
	pools [40]sync.Pool

	most int64 // bytes that all whole bodies may take; 0 is without bound
	out  atomic.Int64
}

// hold gets a buffer for a whole body, if it may be held.
func (b *buffers) hold(n int64) (buf *[]byte, free func(lost bool)) {
	if n > b.share {
		return nil, nil
	}
	size := int64(1) << sizeClass(n)
	if b.out.Add(size) > b.most && b.most > 0 {
		b.out.Add(-size)
		return nil, nil
	}
	buf = b.get(n)
	return buf, func(lost bool) {
		if !lost {
			b.put(buf)
		}
		b.out.Add(-size)
	}
}

// sizeClass of the buffers for n bytes: each is twice as large as the one before.
func sizeClass(n int64) int {
	return bits.Len64(uint64(max(n, 4096) - 1))
}

func (b *buffers) get(n int64) *[]byte {
	c := sizeClass(n) // share is a power of two, so this keeps below it
	if p, ok := b.pools[c].Get().(*[]byte); ok {
		return p
	}
	s := make([]byte, 1<<c)
	return &s
}

func (b *buffers) put(p *[]byte) {
	b.pools[bits.Len64(uint64(cap(*p)-1))].Put(p) //nolint:gosec // a power of two
}

// slice is a range of a file on its way to the store: read, summed, and sent
// as often as it takes.
type slice struct {
	io.ReaderAt
	size   int64
	data   []byte // nil where it is not buffered
	twice  bool   // not buffered: read once for its sum, and again to be sent
	resum  bool   // summed on the way: if it is summed already, because nobody else would notice a difference
	summed bool   // sum64 is known
	sum64  uint64
	sum32c uint32
	moved  func(int64) // told what is read to be sent, less what must be sent again

	mu      sync.Mutex
	pos     int64
	counted int64  // what moved was told of this attempt
	again   uint64 // where resum: the sum of what was read so far
	over    bool   // the attempt has ended: the transport may read no more
	whole   bool   // this attempt's body is a reader of its own, see atOnce
	lost    bool   // the transport may still read from the buffer: it can't be used again
	free    func(lost bool)
}

var errOver = errors.New("body read after its request ended")

// load reads size bytes of r from off, for their sums, and keeps them where
// they fit the share of one lane.
func (b *buffers) load(r io.ReaderAt, off, size int64, sum32c bool) (*slice, error) {
	buf, free := b.hold(size)
	if buf == nil {
		p := b.unread(r, off, size)
		return p, p.scan(b, sum32c)
	}
	p := &slice{size: size, summed: true, free: free, moved: func(int64) {}}
	data := (*buf)[:size]
	if n, err := r.ReadAt(data, off); int64(n) < size {
		p.done()
		return nil, localRead(err)
	}
	p.ReaderAt, p.data = bytes.NewReader(data), data
	p.sum64 = checksum.Sum64(data)
	if sum32c {
		p.sum32c = checksum.Sum32C(data)
	}
	return p, nil
}

// unread is what load gives of a range that is too large for a lane, before it
// was read for its sums.
func (b *buffers) unread(r io.ReaderAt, off, size int64) *slice {
	return &slice{size: size, ReaderAt: io.NewSectionReader(r, off, size), twice: true, moved: func(int64) {}}
}

// done gives the buffer back.
func (p *slice) done() {
	if p.free != nil {
		p.free(p.lost)
	}
}

func (p *slice) scan(b *buffers, sum32c bool) error {
	buf := b.get(scanSize)
	defer b.put(buf)
	for off := int64(0); off < p.size; {
		n := min(scanSize, p.size-off)
		data := (*buf)[:n]
		if m, err := p.ReadAt(data, off); int64(m) < n {
			return localRead(err)
		}
		p.sum64 = checksum.Update64(p.sum64, data)
		if sum32c {
			p.sum32c = checksum.Update32C(p.sum32c, data)
		}
		off += n
	}
	p.summed = true
	return nil
}

// Read gives the transport the next bytes.
func (p *slice) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return 0, errOver
	}
	if p.pos >= p.size {
		return 0, io.EOF
	}
	n, err := p.ReadAt(b[:min(int64(len(b)), p.size-p.pos)], p.pos)
	if p.resum {
		p.again = checksum.Update64(p.again, b[:n])
		if p.summed && p.pos+int64(n) == p.size && p.again != p.sum64 {
			// The last bytes stay here, so the store can't take it for whole.
			return 0, errRewritten
		}
	}
	p.pos += int64(n)
	p.counted += int64(n)
	p.moved(int64(n))
	if n > 0 {
		return n, nil
	}
	return 0, localRead(err)
}

// changed reports that a body which is not buffered has not the sum any more
// that was sent with it.
func (p *slice) changed(b *buffers) error {
	if !p.twice {
		return nil
	}
	now := slice{ReaderAt: p.ReaderAt, size: p.size}
	if err := now.scan(b, false); err != nil {
		return err
	}
	if now.sum64 != p.sum64 {
		return errRewritten
	}
	return nil
}

// Seek lets the client library learn the length and start again.
func (p *slice) Seek(offset int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += p.pos
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	if offset < p.counted { // the library read it to hash it
		p.moved(offset - p.counted)
		p.counted = offset
	}
	p.pos = offset
	if offset == 0 {
		p.again = 0
	}
	return offset, nil
}

// begin makes the slice ready for the next attempt. unproven: the store does not
// compare checksums, as far as is known.
func (p *slice) begin(unproven bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resum = p.twice && (unproven || !p.summed)
	p.pos, p.counted, p.again, p.over, p.whole = 0, 0, 0, false, false
}

// sent is the sum of what was read on the way.
func (p *slice) sent() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.again
}

// end keeps the transport, which may outlive its request, from reading on;
// failed takes back what was counted as moved.
func (p *slice) end(failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	switch {
	case p.whole && failed:
		p.lost = true
	case p.whole:
		p.moved(p.size)
	}
	if failed && p.counted > 0 {
		p.moved(-p.counted)
		p.counted = 0
	}
}

// body is what one attempt hands to the client library.
func (p *slice) body() io.ReadSeeker {
	if p.size == 0 {
		return bytes.NewReader(nil)
	}
	return p
}

// atOnceSize is what goes into the transport's write buffer of writeBuffer, and
// leaves room for a header.
const atOnceSize = writeBuffer * 3 / 4

// atOnce is body in the form in which net/http sends header and body by one write,
// where there is one: it does so for readers that it knows, and sends the header
// before the body of others. Before a byte of such a request is out, all of its
// body has been read, so the buffer is free once there is a good answer.
func atOnce(body io.Reader) io.Reader {
	p, ok := body.(*slice)
	if !ok || p.data == nil || p.size > atOnceSize {
		return body
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = true
	return bytes.NewReader(p.data)
}

// mover reports moved bytes of item as events, and to the lanes.
func (s *Store) mover(in *transfer.PutInput) func(int64) {
	return func(n int64) {
		s.lanes.moved.Add(n)
		in.Event(transfer.Event{Kind: transfer.Moved, Key: in.Item.Key, Bytes: n})
	}
}
