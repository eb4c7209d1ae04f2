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

// stored is the part that a lane is to fetch; ok is false where there is none.
func (s *objectsSent) stored(lane int) (key string, size int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range benchMaxLanes { // the lane's own, else the next one's
		key = s.key(benchParts, (lane+i)%benchMaxLanes)
		if size = s.begun[key]; size > 0 {
			return key, size, true
		}
	}
	return "", 0, false
}

// get fetches what put has stored, whatever its size.
func (s *objectsSent) get(store *s3store.Store) gauge.Move {
	return func(ctx context.Context, lane int, _ int64, moved func(int64)) error {
		key, size, ok := s.stored(lane)
		if !ok {
			return transfer.ErrNotExist
		}
		_, err := store.Get(ctx, transfer.GetInput{Key: key, Size: size, Whole: true, Body: unheeded{}, Event: onMoved(moved)})
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

// store makes one with so many lanes; 0 leaves that, and the size of parts, to
// the default settings, as uploads have them.
func (b *benching) storeFor(lanes int) *s3store.Store {
	o := b.options(b.o.remote, b.objects.prefix, lanes)
	o.Event = b.event
	if lanes > 0 {
		o.PartSize = benchLargest // else they would be sent in parts
	}
	return s3store.New(o)
}

// automaticPart is the size of a part that the default settings choose for a
// large file.
func automaticPart(store *s3store.Store) int64 {
	size := store.PartSize(10 << 30)
	return min(size, store.PartSize(size)) // one PutObject still
}
