package s3store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// reads counts what is read of a file.
type reads struct {
	io.ReaderAt
	n atomic.Int64
}

func (r *reads) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	r.n.Add(int64(n))
	return n, err
}

func TestLargeBodiesAreReadTwice(t *testing.T) {
	data := big()[:MinPartSize]
	for _, tt := range []struct {
		memory int64
		want   int64
	}{{8 << 23, MinPartSize}, {8 * MinPartSize, 2 * MinPartSize}, {8 * smallSize, 2 * MinPartSize}} {
		r := newRig(func(o *Options) { o.Memory = tt.memory })
		in := r.in("k", data, nil)
		file := &reads{ReaderAt: in.Body}
		in.Body = file
		if out, err := r.Put(t.Context(), in); err != nil || !out.Verified || out.CRC64 != checksum.Sum64(data) {
			t.Fatal(out, err)
		}
		if file.n.Load() != tt.want {
			t.Errorf("memory %d: %d bytes read, want %d", tt.memory, file.n.Load(), tt.want)
		}
		if _, sum := r.told(transfer.Moved); sum != MinPartSize {
			t.Errorf("moved %d", sum)
		}
	}
}

// TestNoBufferLeft: a body that memory has no room for is stored all the same, by
// whatever checksum.
func TestNoBufferLeft(t *testing.T) {
	for _, sum := range []transfer.Checksum{transfer.CRC64NVME, transfer.CRC32C, transfer.NoChecksum} {
		r := newRig(func(o *Options) { o.Checksum, o.Parallel = sum, 0 })
		if buf, _ := r.bufs.hold(r.bufs.share); buf == nil {
			t.Fatal("nothing can be held")
		}
		r.bufs.out.Store(r.bufs.most)
		data := []byte("0123456789")
		out, err := r.put(t, "k", data)
		if err != nil || out.Verified != (sum != transfer.NoChecksum) || out.CRC64 != checksum.Sum64(data) {
			t.Errorf("%v: %+v, %v", sum, out, err)
		}
	}
}

// TestNoBufferIsLost: whatever becomes of a file, its share of memory is free again.
func TestNoBufferIsLost(t *testing.T) {
	r := newRig(func(o *Options) { o.Parallel = 0 })
	for name, change := range map[string]func(*transfer.PutInput){
		"stored":  func(*transfer.PutInput) {},
		"changed": func(in *transfer.PutInput) { in.Unchanged = func() error { return transfer.ErrChanged } },
		"shorter": func(in *transfer.PutInput) { in.Body = bytes.NewReader(nil) },
	} {
		for _, size := range []int{10, 3 * MinPartSize} {
			in := r.in("k", make([]byte, size), nil)
			change(&in)
			if _, err := r.Put(t.Context(), in); (err == nil) != (name == "stored") {
				t.Errorf("%s: %v", name, err)
			}
			if n := r.bufs.out.Load(); n != 0 {
				t.Fatalf("%s: %d bytes are lost", name, n)
			}
		}
	}
}

func TestMovedIsTakenBackOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.Memory = 8 * smallSize }) // nothing large is buffered
		r.faults.On(2, storetest.Op(opPart), storetest.Reset(true))
		r.faults.On(3, storetest.Op(opPart), storetest.Refuse(400, "EntityTooLarge"))
		if _, err := r.put(t, "k", big()); err == nil {
			t.Fatal("no error")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		var plus, minus, done int64
		for _, e := range r.events {
			switch {
			case e.Kind == transfer.Moved && e.Bytes > 0:
				plus += e.Bytes
			case e.Kind == transfer.Moved:
				minus -= e.Bytes
			case e.Kind == transfer.PartDone:
				done += e.Bytes
			}
		}
		if plus-minus != done || minus == 0 {
			t.Errorf("moved %d - %d, of parts that are stored %d", plus, minus, done)
		}
	})
}

// A touched file shorter than it was does not become an object, however it is read.
func TestShortFile(t *testing.T) {
	for _, memory := range []int64{8 * MinPartSize, 8 * smallSize} {
		for _, size := range []int64{1000, MinPartSize, 2*MinPartSize + 1000} {
			r := newRig(func(o *Options) { o.Memory = memory })
			in := r.in("k", big()[:size-1], nil)
			in.Item.Stat.Size = size
			if _, err := r.Put(t.Context(), in); !errors.Is(err, transfer.ErrChanged) {
				t.Errorf("%d bytes: %v", size, err)
			}
			if r.s3.object("k") != nil {
				t.Errorf("%d bytes: it was stored", size)
			}
		}
	}
}

// shrinking is whole when it is summed and shorter when it is sent.
type shrinking struct {
	*bytes.Reader
	limit, n atomic.Int64
}

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.Reader.ReadAt(p, off)
	if s.n.Add(int64(n)) > s.limit.Load() {
		return 0, io.EOF
	}
	return n, err
}

func TestFileThatShrinksWhileItIsSent(t *testing.T) {
	r := newRig(func(o *Options) { o.Memory = 8 * smallSize })
	in := r.in("k", big()[:MinPartSize], nil)
	file := &shrinking{Reader: bytes.NewReader(big()[:MinPartSize])}
	file.limit.Store(MinPartSize + 1000)
	in.Body = file
	if _, err := r.Put(t.Context(), in); !errors.Is(err, transfer.ErrChanged) {
		t.Error(err)
	}
	if _, sum := r.told(transfer.Moved); sum != 0 || r.s3.object("k") != nil {
		t.Errorf("moved %d, stored %v", sum, r.s3.object("k") != nil)
	}
}

func TestSliceAfterItsRequest(t *testing.T) {
	b := buffers{share: 1 << 20}
	p, err := b.load(bytes.NewReader([]byte("0123456789")), 2, 6, true)
	if err != nil || p.sum64 != checksum.Sum64([]byte("234567")) || p.sum32c != checksum.Sum32C([]byte("234567")) {
		t.Fatal(p, err)
	}
	p.begin(true)
	if got, err := io.ReadAll(p); string(got) != "234567" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	p.end(true)
	if n, err := p.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errOver) {
		t.Errorf("read on: %d, %v", n, err)
	}
	if _, err := p.Seek(-1, io.SeekStart); err == nil {
		t.Error("sought before the start")
	}
}

func checkPartSize(t *testing.T, configured, size int64) {
	t.Helper()
	s := New(Options{PartSize: configured})
	p := s.PartSize(size)
	parts := (size + p - 1) / p
	switch {
	case p < MinPartSize || p > MaxPartSize:
		t.Errorf("%d bytes by %d: parts of %d", size, configured, p)
	case parts > MaxParts:
		t.Errorf("%d bytes by %d: %d parts of %d", size, configured, parts, p)
	case size/p >= MaxParts && size < MaxObject: // where manager would choose its own
		t.Errorf("%d bytes by %d: manager grows parts of %d", size, configured, p)
	case p != min(max(configured, MinPartSize), MaxPartSize) && p%(1<<20) != 0:
		t.Errorf("%d bytes by %d: parts of %d", size, configured, p)
	}
}

func FuzzPartSize(f *testing.F) {
	for _, size := range []int64{
		0, 1, MinPartSize, MinPartSize*MaxParts - 1, MinPartSize * MaxParts, MinPartSize*MaxParts + 1, 16<<20*MaxParts - 1, 16 << 20 * MaxParts,
		5 << 40, 5<<40 + 1, MaxObject - MaxPartSize, MaxObject - 1, MaxObject,
	} {
		for _, configured := range []int64{1, 16 << 20, 17<<20 + 1, MaxPartSize + 1} {
			f.Add(configured, size)
		}
	}
	f.Fuzz(func(t *testing.T, configured, size int64) {
		if configured <= 0 || size < 0 || size > MaxObject {
			t.Skip()
		}
		checkPartSize(t, configured, size)
	})
}

func TestTooLarge(t *testing.T) {
	r := newRig(nil)
	in := r.in("k", nil, nil)
	in.Item.Stat.Size = MaxObject + 1
	if _, err := r.Put(t.Context(), in); !errors.Is(err, ErrTooLarge) || r.s3.count(opCreate) != 0 {
		t.Error(fmt.Sprint(err))
	}
}

// TestShareKeepsWithinMemory: buffers come in powers of two, and what all lanes
// may hold together is the budget.
func TestShareKeepsWithinMemory(t *testing.T) {
	for _, memory := range []int64{8 << 20, 64 << 20, 100_000_000, 1 << 30} {
		for parallel := 1; int64(parallel)*smallPerLarge*smallSize <= memory; parallel++ {
			s, most := share(memory, parallel)
			if s&(s-1) != 0 || s*int64(parallel) > memory || most != 0 {
				t.Fatalf("memory %d, %d lanes: share %d", memory, parallel, s)
			}
		}
	}
}

// brokenDisk reads well once and then not any more.
type brokenDisk struct {
	io.ReaderAt
	left atomic.Int64
}

func (d *brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if d.left.Add(-int64(len(p))) < 0 {
		return 0, syscall.EIO
	}
	return d.ReaderAt.ReadAt(p, off)
}

// TestBrokenDiskIsNoAbsentStore: an error of the file's disk in the middle of a
// request fails that file, at once, and is not waited out as the store's.
func TestBrokenDiskIsNoAbsentStore(t *testing.T) {
	r := newRig(func(o *Options) { o.Memory = 8 * smallSize })
	in := r.in("k", big()[:MinPartSize], nil)
	d := &brokenDisk{ReaderAt: in.Body}
	d.left.Store(MinPartSize + 100_000)
	in.Body = d
	if _, err := r.Put(t.Context(), in); !errors.Is(err, syscall.EIO) || transfer.Fatal(err) {
		t.Errorf("a disk that breaks: %v", err)
	}
	if n, _ := r.told(transfer.Retry); n != 0 {
		t.Errorf("%d retries", n)
	}
}

// rewritten gives other bytes to the second reading.
type rewritten struct {
	io.ReaderAt
	left atomic.Int64
}

func (d *rewritten) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.ReaderAt.ReadAt(p, off)
	if d.left.Add(-int64(n)) < 0 && n > 0 {
		p[0] ^= 1
	}
	return n, err
}

// TestRewrittenBetweenTwoReads: bytes that differ from those that were summed are
// never stored, also where the store compares nothing.
func TestRewrittenBetweenTwoReads(t *testing.T) {
	for _, sum := range []transfer.Checksum{transfer.CRC64NVME, transfer.NoChecksum} {
		r := newRig(func(o *Options) { o.Memory, o.Checksum = 8*smallSize, sum })
		for i := range 2 { // the second time the store is known to compare
			in := r.in(strconv.Itoa(i), big()[:MinPartSize], nil)
			d := &rewritten{ReaderAt: in.Body}
			d.left.Store(MinPartSize + 200_000)
			in.Body = d
			if _, err := r.Put(t.Context(), in); !errors.Is(err, transfer.ErrChanged) {
				t.Errorf("%v, %d: %v", sum, i, err)
			}
			r.mustPut(t, "well", big()[:MinPartSize])
		}
	}
}
