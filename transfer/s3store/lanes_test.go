package s3store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// blank is a file of any size.
type blank struct{}

func (blank) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestOneFileUsesEveryLane: a single file has as many parts under way as bring
// anything.
func TestOneFileUsesEveryLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, most := 0, 0
		ctx, cancel := context.WithCancelCause(t.Context())
		full := errors.New("every lane is in use")
		r := newRig(func(o *Options) {
			next := o.HTTP
			o.HTTP = doer(func(req *http.Request) (*http.Response, error) {
				if storetest.OpOf(req) != opPart {
					return next.Do(req)
				}
				mu.Lock()
				busy++
				most = max(most, busy)
				if busy == MaxLanes {
					cancel(full)
				}
				mu.Unlock()
				time.Sleep(100 * time.Millisecond) // whatever else is under way
				_, _ = io.Copy(io.Discard, req.Body)
				mu.Lock()
				busy--
				mu.Unlock()
				req.Body = io.NopCloser(strings.NewReader(""))
				return next.Do(req)
			})
		})
		r.s3.noSums = true // it is not handed the bytes
		in := r.in("k", nil, nil)
		in.Item.Stat.Size, in.Body = 100<<30, blank{}
		_, err := r.Put(ctx, in)
		if !errors.Is(err, full) || most != MaxLanes {
			t.Errorf("%d parts at once: %v", most, err)
		}
	})
}

// slowBlank takes its time, and counts who reads at once.
type slowBlank struct {
	mu         sync.Mutex
	busy, most int
}

func (b *slowBlank) ReadAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	b.busy++
	b.most = max(b.most, b.busy)
	b.mu.Unlock()
	time.Sleep(time.Duration(len(p)) * time.Second / (10 * MinPartSize))
	b.mu.Lock()
	b.busy--
	b.mu.Unlock()
	return blank{}.ReadAt(p, off)
}

// TestTouchedFileIsReadByMany: parts that are only compared move nothing, and open
// lanes all the same.
func TestTouchedFileIsReadByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parts = 64
		r := newRig(nil)
		r.noListParts.Store(true) // the journal is all there is
		body := &slowBlank{}
		in := r.in("k", nil, nil)
		in.Item.Stat.Size, in.Body = parts*MinPartSize, body
		begun := transfer.Upload{Key: "k", ID: "id", Stat: in.Item.Stat, PartSize: MinPartSize}
		begun.Stat.MTime--
		if err := in.Journal.Begin(begun); err != nil {
			t.Fatal(err)
		}
		sum := checksum.Sum64(make([]byte, MinPartSize))
		for n := range int32(parts) {
			if err := in.Journal.Part("k", "id", transfer.Part{Number: n + 1, Size: MinPartSize, ETag: "e", CRC64: sum}); err != nil {
				t.Fatal(err)
			}
		}
		r.faults.On(1, storetest.Op(opComplete), storetest.Refuse(400, "EntityTooSmall")) // it knows nothing of them
		_, err := r.Put(t.Context(), in)
		if sent := r.s3.count(opPart); !isCode(err, "EntityTooSmall") || sent != 0 || body.most < startLanes {
			t.Errorf("%d parts were sent, %d read at once: %v", sent, body.most, err)
		}
	})
}

// TestLanesInOrder: a large request that waits is not passed by small ones, gives
// its place up when it waits no longer, and what is free is then theirs.
func TestLanesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(1, nil)
		var wg sync.WaitGroup
		take := func(ctx context.Context, n int64, hold time.Duration, took *time.Duration) {
			began := time.Now()
			wg.Go(func() {
				release, err := l.acquire(ctx, n)
				*took = time.Since(began)
				if err == nil {
					time.Sleep(hold)
					release()
				}
			})
			synctest.Wait()
		}
		var first, large, small, gone, last time.Duration
		short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		take(t.Context(), 1, time.Second, &first)
		take(t.Context(), smallSize+1, time.Second, &large)
		take(short, smallSize+1, time.Second, &gone)
		take(t.Context(), 1, time.Second, &small)
		take(t.Context(), 1, time.Second, &last)
		wg.Wait()
		if first != 0 || large != time.Second || gone != 1500*time.Millisecond || small != 2*time.Second || last != small {
			t.Errorf("after %v, %v, %v, %v, %v", first, large, gone, small, last)
		}
		if l.out != 0 || l.busy != 0 || l.big != 0 || l.load != 0 || len(l.queue) != 0 {
			t.Errorf("in the end %+v", l)
		}
	})
}

// TestBodiesWithinMemory: however many lanes there are, whole bodies take no more
// than their part of memory, and the others go without.
func TestBodiesWithinMemory(t *testing.T) {
	var b buffers
	b.share, b.most = share(64<<20, 0)
	if buf, _ := b.hold(9 << 20); buf != nil {
		t.Fatal("one takes more than an eighth, also where nothing else is held")
	}
	var frees []func(bool)
	for range 100 {
		buf, free := b.hold(5 << 20)
		if buf == nil {
			break
		}
		frees = append(frees, free)
	}
	if n := len(frees); n != 4 {
		t.Errorf("%d buffers of 8 MiB in half of 64", n)
	}
	for _, free := range frees {
		free(false)
	}
	if b.out.Load() != 0 {
		t.Errorf("%d bytes are lost", b.out.Load())
	}
	for _, memory := range []int64{1, smallSize, 1 << 40} { // 0 would be without bound
		if one, all := share(memory, 0); one < smallSize || all < one || memory > all*2 {
			t.Errorf("of %d bytes one body gets %d, and all %d", memory, one, all)
		}
	}
}

// TestStartsOverWhereOnePartWouldDo: an upload that was begun by small parts and
// is gone starts over by parts, also where they would be larger than the file.
func TestStartsOverWhereOnePartWouldDo(t *testing.T) {
	r := newRig(func(o *Options) { o.PartSize = 64 << 20 })
	in := r.in("k", big(), nil)
	begun := transfer.Upload{Key: "k", ID: "gone", Stat: in.Item.Stat, PartSize: MinPartSize, Begun: time.Now()}
	if err := in.Journal.Begin(begun); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Put(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if r.s3.count(opPart) != 3 {
		t.Errorf("%d parts", r.s3.count(opPart))
	}
}
