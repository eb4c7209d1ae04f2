package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"agent/cmd/internal/gauge"
	"agent/transfer"
	"agent/transfer/s3store"
)

// smallForLarge is how many small requests the store makes in the place of one
// large one: docs/architecture.md, "Limits".
const smallForLarge = 4

// benchMaxLanes is the most lanes that are tried.
const benchMaxLanes = 64

// benchSmall is the size of a small object.
const benchSmall = 10 << 10

// objectsSent are the objects that bench stores. Each lane writes the same key
// again and again, so that no more is stored, and has to be removed, than lanes
// are busy.
//
// All are sent by PutObject, parts too: a part takes the same way at the same
// cost, but leaves something behind when it is cut short, which the platform's
// role may not abort.
type objectsSent struct {
	prefix string
	data   gauge.Data
	next   atomic.Int64 // where the next object begins in the made-up data

	mu    sync.Mutex
	begun map[string]int64 // key → size of what is stored there; 0 until it is
}

func newObjectsSent(prefix string) *objectsSent {
	return &objectsSent{prefix: prefix, data: gauge.NewData(), begun: map[string]int64{}}
}

// Kinds of objects, by which their keys are named.
const (
	benchParts  = "part"
	benchSmalls = "small"
)

func (s *objectsSent) key(kind string, lane int) string {
	return fmt.Sprintf("%s%s-%03d", s.prefix, kind, lane)
}

// keys are those of all objects that were begun: they may be stored.
func (s *objectsSent) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]string, 0, len(s.begun))
	for key := range s.begun {
		all = append(all, key)
	}
	return all
}

func (s *objectsSent) note(key string, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.begun[key]; !ok || size > 0 {
		s.begun[key] = size
	}
}

// refused forgets an object that can't be there: nothing has to be removed.
func (s *objectsSent) refused(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun[key] == 0 {
		delete(s.begun, key)
	}
}

// put stores objects of a kind.
func (s *objectsSent) put(store *s3store.Store, kind string) gauge.Move {
	return func(ctx context.Context, lane int, size int64, moved func(int64)) error {
		key := s.key(kind, lane)
		s.note(key, 0)
		_, err := store.Put(ctx, transfer.PutInput{
			Item: transfer.Item{Key: key, Stat: transfer.Stat{Size: size}}, Body: s.data.From(s.next.Add(size)), Journal: noJournal{},
			Unchanged: func() error { return nil },
			Event:     onMoved(moved),
		})
		switch {
		case err == nil:
			s.note(key, size)
		case errors.Is(err, transfer.ErrRefused), errors.Is(err, transfer.ErrDenied):
			s.refused(key)
		}
		return err
	}
}

func onMoved(moved func(int64)) func(transfer.Event) {
	return func(e transfer.Event) {
		if e.Kind == transfer.Moved {
			moved(e.Bytes)
		}
	}
}

// fetch fetches stored objects, each lane one after the other.
func fetch(store *s3store.Store, all []transfer.Object) gauge.Move {
	var next atomic.Int64
	return func(ctx context.Context, _ int, _ int64, moved func(int64)) error {
		obj := all[int(next.Add(1))%len(all)]
		_, err := store.Get(ctx, transfer.GetInput{Key: obj.Key, Size: obj.Size, Body: unheeded{}, Event: onMoved(moved)})
		return err
	}
}

// unheeded is where fetched bytes go.
type unheeded struct{}

func (unheeded) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// noJournal remembers nothing. PutObject asks it whether an upload is open, and
// nothing else.
type noJournal struct{ transfer.Journal }

func (noJournal) Upload(string) (transfer.Upload, bool, error) { return transfer.Upload{}, false, nil }

// storeFor makes one with so many lanes; 0 leaves that to the default settings, as
// uploads do. Parts are objects here, whatever their size.
func (b *benching) storeFor(lanes int) *s3store.Store {
	o := b.options(b.o.remote, b.objects.prefix, lanes)
	o.Event, o.PartSize = b.event, benchLargest
	return s3store.New(o)
}
