package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// ErrNoJournal says that a folder holds no journal.
var ErrNoJournal = errors.New("no journal")

// JobIn reads which job the journal in dir is about, without changing anything.
// Errors are ErrNoJournal, *BusyError, *NewerError and *UnusableError.
func JobIn(ctx context.Context, dir string) (Job, error) {
	o := Options{CheckBytes: 1}.withDefaults() // the job is asked for, not every page
	f, err := lockFile(ctx, dir, lockPoll, false)
	if errors.Is(err, fs.ErrNotExist) {
		return Job{}, fmt.Errorf("%w in %s", ErrNoJournal, dir)
	}
	if err != nil {
		return Job{}, err
	}
	defer letGo(f)
	s, err := judge(dir, f, o, nil)
	switch {
	case err != nil:
		return Job{}, named(dir, err)
	case s.fresh:
		return Job{}, fmt.Errorf("%w in %s", ErrNoJournal, dir)
	}
	return s.job, nil
}
