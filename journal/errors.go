package journal

import (
	"errors"
	"fmt"
	"runtime/debug"

	"agent/transfer"
)

// What Open can end with. Decide by errors.Is; the types carry the details.
var (
	ErrBusy     = errors.New("journal is held by another agent")
	ErrNewer    = errors.New("journal is of a newer agent")
	ErrUnusable = errors.New("no journal can be kept there")
	// ErrClosed is what every method returns after Close.
	ErrClosed = errors.New("journal is closed")
)

// BusyError says who holds the journal.
type BusyError struct {
	Dir    string
	Holder Holder // the zero Holder where run.json could not be read
}

func (e *BusyError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("journal in %s is held by another process", e.Dir)
	}
	return fmt.Sprintf("journal in %s is held by process %d on %s", e.Dir, e.Holder.PID, e.Holder.Host)
}

func (e *BusyError) Unwrap() error { return ErrBusy }

// NewerError says that the journal was written by an agent that knows more.
// The file was not touched.
type NewerError struct {
	Dir     string
	Version uint32 // of the journal's format
	Known   uint32 // the newest this program knows
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("journal in %s has format %d, this agent knows up to %d: upgrade the agent", e.Dir, e.Version, e.Known)
}

func (e *NewerError) Unwrap() []error { return []error{ErrNewer, transfer.ErrLocal} }

// UnusableError says that the file system refuses what a journal needs: a
// lock, a mapping, a write. Another directory, on a local disk, will do.
type UnusableError struct {
	Dir string
	Err error
}

func (e *UnusableError) Error() string {
	return fmt.Sprintf("journal cannot be kept in %s: %v", e.Dir, e.Err)
}

func (e *UnusableError) Unwrap() []error { return []error{ErrUnusable, transfer.ErrLocal, e.Err} }

// damageError marks what is wrong with the file itself, not with where it lies.
type damageError struct{ msg string }

func (e *damageError) Error() string { return e.msg }

func damaged(format string, args ...any) error {
	return &damageError{fmt.Sprintf(format, args...)}
}

func isDamage(err error) bool {
	var d *damageError
	return errors.As(err, &d)
}

// faultError is a panic that was caught: an assertion inside bbolt, or a page
// of the mapping that could not be read.
type faultError struct{ cause any }

func (e *faultError) Error() string { return fmt.Sprintf("fault: %v", e.cause) }

func (e *faultError) Unwrap() error {
	err, _ := e.cause.(error)
	return err
}

func isFault(err error) bool {
	var f *faultError
	return errors.As(err, &f)
}

// guard runs fn and makes an error of its panic. bbolt panics on pages that
// make no sense, and a mapped file that was cut short or whose disk fails
// raises SIGBUS, which is fatal unless the goroutine asked for a panic.
func guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = &faultError{r}
		}
	}()
	return fn()
}
