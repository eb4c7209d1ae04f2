package journal

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"io"
)

// This file reads bbolt's pages with plain reads and believes none of them.
// bbolt itself asserts by panicking, and reads through a mapping that raises
// SIGBUS where the file was cut short; neither helps to decide whether a file
// is whole, nor to carry over what is left of it.

// The layout, as go.etcd.io/bbolt/internal/common has it. Numbers are in the
// machine's own byte order.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader   = 16 // id u64, flags u16, count u16, overflow u32
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	metaSize     = 64 // of which the last 8 are the sum of the rest
	elementSize  = 16
	bucketHeader = 16 // root u64, sequence u64
	bucketFlag   = 1

	// maxPage bounds one page with its overflow: no value of ours is long, and
	// a damaged header must not make us allocate the whole file.
	maxPage  = 16 << 20
	maxDepth = 64
)

var native = binary.NativeEndian

// tree is the newest state that a bbolt file holds.
type tree struct {
	r        io.ReaderAt
	size     int64 // of the file
	pageSize int64
	root     uint64
	freelist uint64
	high     uint64 // no page has this number or a higher one
	txid     uint64
}

// readTree finds the newer of the two meta pages. Its error is a damageError,
// or a NewerError for a file of a later bbolt.
func readTree(r io.ReaderAt, size int64) (*tree, error) {
	at := []int64{0}
	for i := range 15 {
		at = append(at, 1024<<i) // where the second lies depends on the page size
	}
	var best *tree
	for _, pos := range at {
		t, err := readMeta(r, pos)
		if err == nil && t != nil && 2*t.pageSize > size {
			err = damaged("it is shorter than two of its pages") // bbolt goes by the first that is whole
		}
		if err != nil {
			return nil, err
		}
		// The second must lie where its own page size says.
		if t == nil || (pos != 0 && pos != t.pageSize) {
			continue
		}
		if best == nil || t.txid > best.txid {
			best = t
		}
	}
	if best == nil {
		return nil, damaged("neither meta page is whole")
	}
	best.size = size
	return best, nil
}

// readMeta returns nil where there is no whole meta page at pos.
func readMeta(r io.ReaderAt, pos int64) (*tree, error) {
	var buf [pageHeader + metaSize]byte
	if n, _ := r.ReadAt(buf[:], pos); n < len(buf) {
		return nil, nil
	}
	m := buf[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8])
	if native.Uint32(m) != boltMagic || native.Uint64(m[metaSize-8:]) != sum.Sum64() {
		return nil, nil
	}
	switch v := native.Uint32(m[4:]); {
	case v > boltVersion:
		return nil, &NewerError{Version: v, Known: boltVersion}
	case v < boltVersion: // nothing of ours
		return nil, nil
	}
	t := &tree{
		r: r, pageSize: int64(native.Uint32(m[8:])), root: native.Uint64(m[16:]),
		freelist: native.Uint64(m[32:]), high: native.Uint64(m[40:]), txid: native.Uint64(m[48:]),
	}
	if t.pageSize < 1024 || t.pageSize > maxPage {
		return nil, damaged("a page of it has %d bytes", t.pageSize)
	}
	return t, nil
}

// pages is how many the file has room for.
func (t *tree) pages() uint64 {
	return uint64(t.size / t.pageSize) //nolint:gosec // sizes are not negative
}

// offset of page id, which is less than pages.
func (t *tree) offset(id uint64) int64 {
	return int64(id) * t.pageSize //nolint:gosec // it lies in the file
}

// whole reports a file that is shorter than its own pages say.
func (t *tree) whole() error {
	if t.high > t.pages() {
		return damaged("file is cut short: %d of %d pages", t.pages(), t.high)
	}
	return nil
}

// ref is where a bucket's pages begin: at a page, or inside its parent.
type ref struct {
	page   uint64
	inline []byte
}

// walker visits the pages of a tree, each at most once.
type walker struct {
	t     *tree
	limit uint64   // pages that are there
	seen  []uint64 // bit set by page number: no cycle, no page in two places
	// damage is the first thing that made no sense. The walk goes on behind it.
	damage error
	prev   []byte // the key before, within one bucket
	bufs   [maxDepth][]byte
}

func (t *tree) walker() *walker {
	limit := min(t.high, t.pages())
	return &walker{t: t, limit: limit, seen: make([]uint64, limit/64+1)}
}

func (w *walker) complain(format string, args ...any) {
	if w.damage == nil {
		w.damage = damaged(format, args...)
	}
}

func (w *walker) mark(id uint64) bool {
	bit := uint64(1) << (id % 64)
	if w.seen[id/64]&bit != 0 {
		return false
	}
	w.seen[id/64] |= bit
	return true
}

// load reads page id with its overflow; nil when it makes no sense.
func (w *walker) load(id uint64, depth int) []byte {
	if id < 2 || id >= w.limit || depth >= maxDepth {
		w.complain("page %d is out of place", id)
		return nil
	}
	var head [pageHeader]byte
	if _, err := w.t.r.ReadAt(head[:], w.t.offset(id)); err != nil {
		w.complain("page %d: %v", id, err)
		return nil
	}
	n := uint64(native.Uint32(head[12:])) + 1
	length := w.t.offset(n)
	if native.Uint64(head[:]) != id || n > w.limit-id {
		w.complain("page %d has a broken header", id)
		return nil
	}
	if native.Uint16(head[8:]) == freelistPage {
		// Its size goes with the file's, and nothing of ours is in it.
		length = min(length, maxFreelist)
	} else if length > maxPage {
		w.complain("page %d is too long", id)
		return nil
	}
	for i := range n {
		if !w.mark(id + i) {
			w.complain("page %d is used twice", id+i)
			return nil
		}
	}
	if int64(cap(w.bufs[depth])) < length {
		w.bufs[depth] = make([]byte, length)
	}
	buf := w.bufs[depth][:length]
	if _, err := w.t.r.ReadAt(buf, w.t.offset(id)); err != nil {
		w.complain("page %d: %v", id, err)
		return nil
	}
	return buf
}

// element i of a page: where its key begins and how long key and value are.
func element(page []byte, i int, leaf bool) (head, key, val []byte, ok bool) {
	off := uint64(pageHeader + i*elementSize) //nolint:gosec // i counts from 0
	if off+elementSize > uint64(len(page)) {
		return nil, nil, nil, false
	}
	head = page[off : off+elementSize]
	var pos, ks, vs uint64
	if leaf {
		pos, ks, vs = uint64(native.Uint32(head[4:])), uint64(native.Uint32(head[8:])), uint64(native.Uint32(head[12:]))
	} else {
		pos, ks = uint64(native.Uint32(head)), uint64(native.Uint32(head[4:]))
	}
	start := off + pos
	if pos < elementSize || start+ks+vs > uint64(len(page)) {
		return nil, nil, nil, false
	}
	return head, page[start : start+ks], page[start+ks : start+ks+vs], true
}

// walk calls fn for every pair of the bucket at r that can be reached, until
// fn fails: that is the error. Keys and values are good during the call only.
func (w *walker) walk(r ref, fn func(flags uint32, key, val []byte) error) error {
	w.prev = nil
	if r.inline != nil {
		return w.page(r.inline, 0, nil, nil, fn)
	}
	if page := w.load(r.page, 0); page != nil {
		return w.page(page, 0, nil, nil, fn)
	}
	return nil
}

// page walks one page, whose keys must be at least lo and less than hi.
func (w *walker) page(page []byte, depth int, lo, hi []byte, fn func(uint32, []byte, []byte) error) error {
	if len(page) < pageHeader {
		w.complain("page is too short")
		return nil
	}
	count := int(native.Uint16(page[10:]))
	switch native.Uint16(page[8:]) {
	case leafPage:
		for i := range count {
			head, key, val, ok := element(page, i, true)
			if !ok || !w.inOrder(key, lo, hi) {
				w.complain("a leaf's element makes no sense")
				continue
			}
			if err := fn(native.Uint32(head), key, val); err != nil {
				return err
			}
		}
	case branchPage:
		for i := range count {
			if err := w.child(page, i, count, depth, hi, fn); err != nil {
				return err
			}
		}
	default:
		w.complain("a page is neither branch nor leaf")
	}
	return nil
}

func (w *walker) child(page []byte, i, count, depth int, hi []byte, fn func(uint32, []byte, []byte) error) error {
	head, lo, _, ok := element(page, i, false)
	if ok && i+1 < count {
		_, hi, _, ok = element(page, i+1, false)
	}
	if !ok {
		w.complain("a branch's element makes no sense")
		return nil
	}
	next := w.load(native.Uint64(head[8:]), depth+1)
	if next == nil {
		return nil
	}
	return w.page(next, depth+1, lo, hi, fn)
}

func (w *walker) inOrder(key, lo, hi []byte) bool {
	if bytes.Compare(key, lo) < 0 || (hi != nil && bytes.Compare(key, hi) >= 0) {
		return false
	}
	if w.prev != nil && bytes.Compare(w.prev, key) >= 0 {
		return false
	}
	w.prev = append(w.prev[:0], key...)
	return true
}

// buckets lists the buckets at the top.
func (w *walker) buckets() map[string]ref {
	found := map[string]ref{}
	_ = w.walk(ref{page: w.t.root}, func(flags uint32, key, val []byte) error {
		if flags&bucketFlag == 0 || len(val) < bucketHeader {
			w.complain("something other than a bucket lies at the top")
			return nil
		}
		r := ref{page: native.Uint64(val)}
		switch name := string(key); {
		case r.page != 0:
		case int64(len(val)) > w.t.pageSize:
			w.complain("a bucket inside a page is larger than one")
		case name == bucketMeta || name == bucketItems || name == bucketUploads || name == bucketParts:
			r.inline = bytes.Clone(val[bucketHeader:]) // of no others: broken ones may all claim the same bytes
		}
		found[string(key)] = r
		return nil
	})
	return found
}

// maxFreelist bounds the free list that is read: 32 million pages.
const maxFreelist = 256 << 20

// checkFreelist reports a list that bbolt would fall over, or that gives away
// pages which the walk has seen in use.
func (w *walker) checkFreelist() error {
	page := w.load(w.t.freelist, 0)
	if page == nil {
		return w.damage
	}
	if native.Uint16(page[8:]) != freelistPage {
		return damaged("the free list is another page")
	}
	count, ids := uint64(native.Uint16(page[10:])), page[pageHeader:]
	if count == 0xFFFF && len(ids) >= 8 {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damaged("the free list is longer than its page")
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= w.limit || !w.mark(id) {
			return damaged("the free list names page %d, which is in use", id)
		}
	}
	return nil
}
