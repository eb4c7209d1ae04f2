package transfer

import (
	"context"
	"io"
	"iter"
)

// Store is where objects live.
type Store interface {
	// Put stores one object and returns when the store has acknowledged it.
	// Errors are *Error.
	Put(ctx context.Context, in PutInput) (PutOutput, error)
	// Stat describes one object, with its checksum where the store keeps one.
	// ErrNotExist when there is none, ErrDenied when it may not be asked.
	Stat(ctx context.Context, key string) (Object, error)
	// Inspect is Stat with all that the store keeps to tell the object's bytes by.
	Inspect(ctx context.Context, key string) (Stored, error)
	// List yields the objects whose keys begin with prefix and are greater
	// than after, in byte order of their keys. It ends with the first error.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
}

// PutInput is one object to store.
type PutInput struct {
	Item        Item
	Body        io.ReaderAt // Item.Stat.Size bytes; safe for concurrent reads
	ContentType string      // "" leaves it to the store
	Journal     Journal     // answers for parts already stored, records new ones
	// Unchanged is called when all bytes have been read and before the object
	// comes into being; an error from it (ErrChanged) keeps it from that.
	Unchanged func() error
	// Event takes what happens on the way; it never blocks.
	Event func(Event)
}

// PutOutput is what the store now holds.
type PutOutput struct {
	ETag     string
	CRC64    uint64 // CRC64NVME of the bytes that were sent
	Verified bool   // the store's answer carried a checksum, and it was ours
}
