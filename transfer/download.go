package transfer

import (
	"context"
	"io"
	"iter"
	"time"
)

// Origin is a store that objects are fetched from.
type Origin interface {
	// Stat, Inspect and List are those of Store.
	Stat(ctx context.Context, key string) (Object, error)
	Inspect(ctx context.Context, key string) (Stored, error)
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
	// Get fetches a range of one object. Errors are *Error: ErrReplaced where
	// the object is not the one that was asked for any more, ErrNotExist where
	// there is none, ErrDamaged where its bytes never have their checksum, and
	// that of Body where it took no more.
	Get(ctx context.Context, in GetInput) (GetOutput, error)
}

// GetInput is a range of one object.
type GetInput struct {
	Key   string
	ETag  string // of the object that is meant
	Off   int64  // bytes
	Size  int64  // bytes; 0 only for an empty object
	Whole bool   // the range is all of the object: its checksum is compared
	// Body takes the bytes, each at its place in the object; some may come
	// more than once.
	Body  io.WriterAt
	Event func(Event) // never blocks
}

// GetOutput is what was fetched.
type GetOutput struct {
	CRC64    uint64    // CRC64NVME of the range, as it was given to Body
	Modified time.Time // the object's, by the store's clock
	MTime    time.Time // see Object
	Verified bool      // the store's checksum of the whole object was compared, and is the same
}

// Remote is one thing to download that the user named: an object, or what is
// below a prefix.
type Remote struct {
	// Key is the object's, or the prefix without or with its final slash: an
	// object of this very key comes first.
	Key string
	// Dir says that only a prefix is meant: Key is "" or ends in "/".
	Dir bool
	// Keep puts what is below a prefix under the prefix's last part.
	Keep bool
}

// AsDir makes r mean the prefix alone.
func (r *Remote) AsDir() {
	if !r.Dir {
		r.Key, r.Dir = r.Key+"/", true
	}
}

// Taken says which objects a download takes. The zero value takes all.
type Taken struct {
	// LeaveOut, if set, says by the name below the Target why an object is not
	// taken; "" takes it. That of a directory ends in "/".
	LeaveOut func(name string) string
	// Later, if set, says by its time why an object is left to a later run.
	Later func(modified time.Time) string
	// Only, if set, are the names to take, below the prefix of the only source,
	// which is a Dir. Only where they lie is listed; those that are missing fail.
	Only *Names
}

// Fetch is one object on its way to a file.
type Fetch struct {
	Object Object
	Name   string // the file's, '/'-separated, below the Target
	Local  string // as it is written there: accents may be otherwise
	Dir    bool   // a directory is to be made: Name ends in "/"
	Was    *Stat  // of what has that name already; nil for nothing
	Ours   bool   // what has that name is as this job left it
}

// Existing says what is done about a file that differs from its object and is
// not as this job left it.
type Existing uint8

// The rules.
const (
	Fail    Existing = iota // the file is named as a failure, and stays
	Keep                    // it stays
	Replace                 // the object takes its place
)

// DownloadOptions configures PlanDownload and Download. With Compare ByJournal and
// ByTime a file is the object's if it is as this job left it, or of the object's
// size and time; what only has the size is compared by its bytes.
type DownloadOptions struct {
	RunOptions

	Target   *Target
	Taken    Taken
	Existing Existing
	Names    *NameList // takes the name of every object of the only source, also of those left out; nil for none
	Straight bool      // what would be fetched through a symbolic link fails
	PartSize int64     // bytes of a range; default 16 MiB. What is no larger is fetched in one
	Parallel int       // ranges of one file at once; default 8
	// Since is when an earlier run of the job began, if one did. A file that came since
	// and is not as its record says, or has none, is compared, although its size and time
	// are the object's: a run may have been cut off between its last byte and the record.
	Since time.Time
}

func (o DownloadOptions) withDefaults() DownloadOptions {
	o.RunOptions = o.RunOptions.withDefaults()
	if o.PartSize <= 0 {
		o.PartSize = 16 << 20
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	return o
}

// Download carries out the steps of PlanDownload, as Run does those of an
// upload: each object is written beside its file's name, by ranges that the
// journal remembers, compared with its checksum, and then given the name. In
// the journal names take the place of keys, and an open Upload is a file that
// was begun: its ID is the object's ETag. Metadata of a Zarr store come after
// all else below their directory, and not at all while anything there failed.
func Download(ctx context.Context, steps iter.Seq[Step], from Origin, j RunJournal, o DownloadOptions) (Result, error) {
	o = o.withDefaults()
	r := newRunner(j, o.RunOptions)
	r.dirs = true
	r.do = (&fetcher{runner: r, from: from, o: o}).item
	return r.run(ctx, steps)
}
