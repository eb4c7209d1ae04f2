// Package storetest holds the contracts that every store and every journal
// keeps, stores and journals in memory that keep them, and faults: of a server
// and its network, between client and server, and of a journal, between the
// transfer and its disk.
//
// It knows the interfaces of transfer and HTTP. It does not know S3's client
// library, bbolt or files.
package storetest

import (
	"context"
	"crypto/md5" //nolint:gosec // the form of S3's ETags, no secret hangs on it
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
)

// Memory is a transfer.Store in memory: one request an object, a CRC64NVME for
// each, and an ETag that is its MD5. The zero value is empty and ready.
type Memory struct {
	// Fail is asked before each call of Put, Stat and List, for each key of DeleteAll, and after a Put
	// that has stored its object (op "Put done"); its error is what the call
	// ends with. nil fails nothing. It may block.
	Fail func(ctx context.Context, op, key string) error
	// NoCRC64 keeps the checksums from being told.
	NoCRC64 bool

	mu      sync.Mutex
	objects map[string]object
	puts    map[string]int
	order   []string
	lists   []string
	gone    []string
}

type object struct {
	transfer.Object
	body []byte
}

var (
	_ transfer.Store  = (*Memory)(nil)
	_ transfer.Origin = (*Memory)(nil)

	_ transfer.Deleter = (*Memory)(nil)
)

func (m *Memory) fail(ctx context.Context, op, key string) error {
	err := ctx.Err()
	if err == nil && m.Fail != nil {
		err = m.Fail(ctx, op, key)
	}
	if err == nil {
		return nil
	}
	return &transfer.Error{Op: op, Key: key, Err: err}
}

// Put implements transfer.Store.
func (m *Memory) Put(ctx context.Context, in transfer.PutInput) (transfer.PutOutput, error) {
	key := in.Item.Key
	if err := m.fail(ctx, "Put", key); err != nil {
		return transfer.PutOutput{}, err
	}
	body := make([]byte, in.Item.Stat.Size)
	if n, err := in.Body.ReadAt(body, 0); n < len(body) {
		if err == nil || errors.Is(err, io.EOF) {
			err = transfer.ErrChanged
		}
		return transfer.PutOutput{}, &transfer.Error{Op: "read", Key: key, Path: in.Item.Path, Err: err}
	}
	if err := in.Unchanged(); err != nil {
		return transfer.PutOutput{}, &transfer.Error{Op: "read", Key: key, Path: in.Item.Path, Err: err}
	}
	in.Event(transfer.Event{Kind: transfer.Moved, Key: key, Bytes: int64(len(body))})
	obj := m.Set(key, body)
	m.mu.Lock()
	if m.puts == nil {
		m.puts = map[string]int{}
	}
	m.puts[key]++
	m.order = append(m.order, key)
	m.mu.Unlock()
	if err := m.fail(ctx, "Put done", key); err != nil {
		return transfer.PutOutput{}, err
	}
	return transfer.PutOutput{ETag: obj.ETag, CRC64: obj.CRC64, Verified: !m.NoCRC64}, nil
}

// Set stores an object as somebody else would.
func (m *Memory) Set(key string, body []byte) transfer.Object {
	obj := transfer.Object{
		Key: key, Size: int64(len(body)), Modified: time.Now(),
		ETag:  fmt.Sprintf(`"%x"`, md5.Sum(body)), //nolint:gosec // see the import
		CRC64: checksum.Sum64(body), HasCRC64: true,
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string]object{}
	}
	m.objects[key] = object{obj, slices.Clone(body)}
	return obj
}

// Delete removes an object as somebody else would.
func (m *Memory) Delete(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

// DeleteAll implements transfer.Deleter. Fail is asked for each key, by the op
// "Delete".
func (m *Memory) DeleteAll(ctx context.Context, keys []string) (failed map[string]error, _ error) {
	failed = map[string]error{}
	for _, key := range keys {
		err := m.fail(ctx, "Delete", key)
		switch {
		case transfer.Fatal(err), errors.Is(err, transfer.ErrStopped):
			return failed, err
		case err != nil:
			failed[key] = err
		default:
			m.Delete(key)
			m.mu.Lock()
			m.gone = append(m.gone, key)
			m.mu.Unlock()
		}
	}
	return failed, nil
}

// Gone returns the keys in the order in which DeleteAll has removed them.
func (m *Memory) Gone() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.gone)
}

// Stat implements transfer.Store.
func (m *Memory) Stat(ctx context.Context, key string) (transfer.Object, error) {
	if err := m.fail(ctx, "Stat", key); err != nil {
		return transfer.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	obj, ok := m.objects[key]
	if !ok {
		return transfer.Object{}, &transfer.Error{Op: "Stat", Key: key, Err: transfer.ErrNotExist}
	}
	if m.NoCRC64 {
		obj.CRC64, obj.HasCRC64 = 0, false
	}
	return obj.Object, nil
}

// List implements transfer.Store. It sees the objects as they are when it
// begins.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		m.mu.Lock()
		m.lists = append(m.lists, after)
		keys := slices.Sorted(maps.Keys(m.objects))
		m.mu.Unlock()
		if err := m.fail(ctx, "List", prefix); err != nil {
			yield(transfer.Object{}, err)
			return
		}
		for _, key := range keys {
			if !strings.HasPrefix(key, prefix) || key <= after {
				continue
			}
			m.mu.Lock()
			obj := m.objects[key].Object
			m.mu.Unlock()
			obj.CRC64, obj.HasCRC64 = 0, false
			if !yield(obj, nil) {
				return
			}
		}
	}
}

// Get implements transfer.Origin.
func (m *Memory) Get(ctx context.Context, in transfer.GetInput) (transfer.GetOutput, error) {
	if err := m.fail(ctx, "Get", in.Key); err != nil {
		return transfer.GetOutput{}, err
	}
	m.mu.Lock()
	obj, ok := m.objects[in.Key]
	m.mu.Unlock()
	switch {
	case !ok:
		return transfer.GetOutput{}, &transfer.Error{Op: "Get", Key: in.Key, Err: transfer.ErrNotExist}
	case in.ETag != obj.ETag || in.Off+in.Size > obj.Size:
		return transfer.GetOutput{}, &transfer.Error{Op: "Get", Key: in.Key, Err: transfer.ErrReplaced}
	}
	b := obj.body[in.Off : in.Off+in.Size]
	if len(b) > 0 {
		if _, err := in.Body.WriteAt(b, in.Off); err != nil {
			return transfer.GetOutput{}, err
		}
	}
	in.Event(transfer.Event{Kind: transfer.Moved, Key: in.Key, Bytes: in.Size})
	return transfer.GetOutput{CRC64: checksum.Sum64(b), Modified: obj.Modified, Verified: in.Whole && !m.NoCRC64}, nil
}

// Body returns the bytes of an object, and whether there is one.
func (m *Memory) Body(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	obj, ok := m.objects[key]
	return obj.body, ok
}

// Keys returns what is stored, sorted.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// Puts says how often key was stored by Put.
func (m *Memory) Puts(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts[key]
}

// Order returns the keys in the order in which Put has stored them.
func (m *Memory) Order() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.order)
}

// Lists returns what List was asked to begin behind, call by call.
func (m *Memory) Lists() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lists)
}
