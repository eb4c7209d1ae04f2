package transfer

import (
	"errors"
	"fmt"
)

// What an operation can end with, beside success. Decide by errors.Is.
var (
	ErrNotExist    = errors.New("no such object")
	ErrDenied      = errors.New("access denied")
	ErrUnsorted    = errors.New("the listing is not in order of its keys") // so nothing can be merged with it
	ErrStopped     = errors.New("stopped before it was done")
	ErrChanged     = errors.New("file changed while it was read")
	ErrUnreachable = errors.New("store could not be reached")            // for longer than the patience
	ErrCredentials = errors.New("credentials were needed and none came") // for longer than they are waited for
	ErrRefused     = errors.New("refused for good")                      // bucket, right, signature, TLS: nothing else will fare better
	ErrLocal       = errors.New("local fault")                           // journal or disk
	ErrReplaced    = errors.New("object replaced while it was fetched")
	ErrDamaged     = errors.New("its bytes have not the checksum that the store keeps of them")
	ErrExists      = errors.New("a file that differs is there already")
	ErrPath        = errors.New("key cannot be a file name here")
	ErrDisk        = error(diskFault{})                                 // an ErrLocal
	ErrHeldBack    = errors.New("held back: its store is not complete") // Zarr metadata whose chunks failed
)

// diskFault is an ErrLocal that says what it is in words of its own.
type diskFault struct{}

func (diskFault) Error() string { return "the disk does not take it" }
func (diskFault) Unwrap() error { return ErrLocal }

// Error is what crosses the package boundary: what was done, to which object.
type Error struct {
	Op   string // the S3 operation or the step: "PutObject", "read", "stat"
	Key  string // the object's key; "" where it concerns the whole job
	Path string // the local file; "" where it concerns the object alone
	Err  error
}

func (e *Error) Error() string {
	switch {
	case e.Path != "":
		return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err)
	case e.Key != "":
		return fmt.Sprintf("%s %s: %v", e.Op, e.Key, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Fatal reports whether err ends the whole job, because no other item would
// fare better.
func Fatal(err error) bool {
	for _, s := range []error{ErrUnreachable, ErrCredentials, ErrRefused, ErrLocal} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}
