package transfer

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Claim is one object that should be stored, and what tells its bytes.
type Claim struct {
	Key  string
	Path string // the local file; "" where only what follows is known
	Size int64  // bytes

	CRC64    uint64
	HasCRC64 bool
	ETag     string

	// Err is why it can't be told what should be stored. Key then ends in "/",
	// or is "", where that is so for all below.
	Err error
	// Any: whether it is stored, and what, does not matter now.
	Any bool
}

// Claims are those of a scan: every item should be stored. What is left to
// later may be.
func Claims(entries iter.Seq[Entry]) iter.Seq[Claim] {
	return func(yield func(Claim) bool) {
		for e := range entries {
			c := Claim{Key: e.Item.Key, Path: e.Item.Path, Size: e.Item.Stat.Size, Err: e.Err, Any: e.Later}
			if (e.Ignored == "" || e.Later) && !yield(c) {
				return
			}
		}
	}
}

// Verdict is what was found of one object.
type Verdict uint8

// The verdicts.
const (
	Same         Verdict = iota + 1
	Missing              // there is no such object
	Extra                // nothing claims the object
	OtherSize            // it has another size
	OtherContent         // it has the size and other bytes
	Unverifiable         // nothing the store keeps tells its bytes
	Undecided            // the file or the object could not be looked at; Err says why
)

func (v Verdict) String() string {
	return [...]string{"", "same", "missing", "extra", "size", "content", "unverifiable", "failed"}[v]
}

// Finding is the verdict on one object.
type Finding struct {
	Verdict   Verdict
	Key, Path string
	Size      int64  // as it should be
	Stored    int64  // as it is
	How       string // by what it was told, or why it could not be
	Err       error  // of Undecided
}

// VerifyStore is the store as Verify needs it.
type VerifyStore interface {
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
	// Inspect is Stat with all that the store keeps to tell the bytes by.
	Inspect(ctx context.Context, key string) (Stored, error)
	// GetWhole writes the bytes of the object with this ETag; ErrChanged when
	// another has taken its place.
	GetWhole(ctx context.Context, key, etag string, size int64, w io.Writer) error
}

// VerifyOptions configures Verify.
type VerifyOptions struct {
	Prefix  string // of all keys
	NoExtra bool   // do not tell of objects that nothing claims
	// LeaveOut, if set, says by its key why an object is of no interest though
	// nothing claims it; "" tells of it.
	LeaveOut func(key string) string
	Download bool // fetch what the store keeps no checksum of
	Asking   int  // objects looked at at once; default 32
	Reading  int  // files, or downloads, read at once; default 4

	Found  func(Finding) // called for every claim and extra object, by one goroutine at a time
	Notice func(text string)
	Stop   <-chan struct{} // closed: begin nothing new
	Open   func(path string) (File, error)
}

// Verify holds claims, in byte order of their keys, against one listing of the
// store, and what has the right size against the checksums the store keeps. It
// sends nothing and, without Download, fetches no bytes of objects. In memory
// are one page of the listing and what is being looked at.
//
// Where the listing is denied, each object is asked for and extra ones are not
// told. The error is what ended the work for all.
func Verify(ctx context.Context, claims iter.Seq[Claim], store VerifyStore, o VerifyOptions) error {
	if o.Asking <= 0 {
		o.Asking = 32
	}
	if o.Reading <= 0 {
		o.Reading = 4
	}
	if o.Open == nil {
		o.Open = openFile
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	g, inner := errgroup.WithContext(ctx)
	v := &verifier{o: o, store: store, todo: make(chan Claim), reading: make(chan struct{}, o.Reading)}
	g.Go(func() error {
		defer close(v.todo)
		return v.merge(inner, claims)
	})
	for range o.Asking {
		g.Go(func() error {
			for c := range v.todo {
				f, err := v.look(inner, c)
				if err != nil {
					return err
				}
				v.found(f)
			}
			return nil
		})
	}
	err := g.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		v.mangledExtra()
	}
	return err
}

// verifier is the state of one Verify. What is below next belongs to merge.
type verifier struct {
	o       VerifyOptions
	store   VerifyStore
	todo    chan Claim
	reading chan struct{} // a place for each file that is read

	mu       sync.Mutex // of o.Found
	unlisted atomic.Int64

	unlistable atomic.Pointer[error] // why there is no listing
	allowed    atomic.Bool           // an object could be looked at

	next    func() (Object, error, bool)
	head    Object
	have    bool
	off     bool // there is no listing to go by
	blind   bool // it is not known what should be below dark
	dark    string
	mangled []Object
	lost    int // mangled ones that are not kept
}

func (v *verifier) found(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.o.Found(f)
}

func (v *verifier) stopped() bool {
	select {
	case <-v.o.Stop:
		return true
	default:
		return false
	}
}

// merge goes through claims and listing side by side.
func (v *verifier) merge(ctx context.Context, claims iter.Seq[Claim]) error {
	next, stop := iter.Pull2(v.store.List(ctx, v.o.Prefix, ""))
	defer stop()
	v.next = next
	if err := v.advance(ctx); err != nil {
		return err
	}
	for c := range claims {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if v.stopped() {
			return ErrStopped
		}
		obj, stored, err := v.find(ctx, c.Key)
		if err != nil {
			return err
		}
		switch {
		case c.Err != nil:
			if c.Key == "" || strings.HasSuffix(c.Key, "/") {
				v.blind, v.dark = true, c.Key
			}
			v.found(Finding{Verdict: Undecided, Key: c.Key, Path: c.Path, Err: c.Err})
			continue
		case c.Any:
			continue
		case v.off, !stored && !listable(c.Key):
		case !stored:
			v.found(Finding{Verdict: Missing, Key: c.Key, Path: c.Path, Size: c.Size})
			continue
		case obj.Size != c.Size:
			v.found(Finding{Verdict: OtherSize, Key: c.Key, Path: c.Path, Size: c.Size, Stored: obj.Size})
			continue
		}
		select {
		case v.todo <- c:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for v.have {
		v.extra(v.head)
		if err := v.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// find moves the listing to key; what it passes nobody claims.
func (v *verifier) find(ctx context.Context, key string) (obj Object, stored bool, _ error) {
	for v.have && v.head.Key < key {
		v.extra(v.head)
		if err := v.advance(ctx); err != nil {
			return obj, false, err
		}
	}
	if !v.have || v.head.Key != key {
		return obj, false, nil
	}
	obj = v.head
	return obj, true, v.advance(ctx)
}

// advance takes the next object of the listing.
func (v *verifier) advance(ctx context.Context) error {
	if v.off {
		return nil
	}
	obj, err, ok := v.next()
	v.head, v.have = obj, ok && err == nil
	switch {
	case err == nil:
	case Fatal(err), errors.Is(err, ErrStopped), ctx.Err() != nil:
		return err
	default:
		v.off = true
		v.unlistable.Store(&err)
		v.o.Notice("the destination can't be listed: each object is asked for, and extra ones are not told")
	}
	return nil
}

// mostMangled is how many objects are kept whose names the listing mangled.
const mostMangled = 1000

// extra tells of an object that nothing claims. One whose name has the mark of
// a character that could not be told may be a claimed one: that is known at the
// end.
func (v *verifier) extra(obj Object) {
	switch {
	case v.o.NoExtra, v.blind && strings.HasPrefix(obj.Key, v.dark):
	case v.o.LeaveOut != nil && v.o.LeaveOut(obj.Key) != "":
	case !strings.ContainsRune(obj.Key, '\uFFFD'):
		v.found(Finding{Verdict: Extra, Key: obj.Key, Stored: obj.Size})
	case len(v.mangled) < mostMangled:
		v.mangled = append(v.mangled, obj)
	default:
		v.lost++
	}
}

// mangledExtra tells of mangled names, if there are more than of claimed
// objects that the listing did not show.
func (v *verifier) mangledExtra() {
	if int64(len(v.mangled)+v.lost) <= v.unlisted.Load() {
		return
	}
	for _, obj := range v.mangled {
		v.found(Finding{Verdict: Extra, Key: obj.Key, Stored: obj.Size})
	}
}
