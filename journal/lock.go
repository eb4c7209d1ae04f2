package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The names in a job's directory.
const (
	fileName    = "journal.db"
	newName     = "journal.db.new"     // a rescued journal, until it is complete
	suspectName = "journal.db.suspect" // the last holder met a fault in it
	damagedName = "journal.db.damaged-"
	holderName  = "run.json"
	commandName = "job.json"
	outcomeName = "last.json"
)

// errHeld is what tryLock says of a file another descriptor has locked.
var errHeld = errors.New("held")

// errNumbers is for a file that never is the one its name leads to.
var errNumbers = errors.New("file numbers are not stable")

// errPlanted is for a link, or what else is no file, in the journal's place: we
// make none, and through it another file would be written.
var errPlanted = errors.New(fileName + " is no regular file")

// lockPoll is how often a lock that is held is tried again.
const lockPoll = 20 * time.Millisecond

// lockFile opens the journal in dir and locks it as bbolt does, so that its
// pages can be judged before bbolt maps them. With create, the directory and
// an empty file are made where they are missing.
func lockFile(ctx context.Context, dir string, timeout time.Duration, create bool) (*os.File, error) {
	path, flag := filepath.Join(dir, fileName), os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	for deadline := time.Now().Add(timeout); ; {
		f, err := openIn(dir, path, flag, create)
		if err != nil {
			return nil, err
		}
		if err = tryLock(f); err == nil && samePath(f, path) {
			return f, nil
		}
		_ = f.Close() // and so unlocked
		switch {
		case err == nil:
			// While we waited somebody set the file aside or removed it: what
			// we have locked is not the journal any more.
			if time.Until(deadline) <= 0 {
				return nil, &UnusableError{Dir: dir, Err: errNumbers}
			}
			continue
		case !errors.Is(err, errHeld):
			return nil, &UnusableError{Dir: dir, Err: err}
		case time.Until(deadline) <= 0:
			holder, _ := ReadHolder(dir)
			return nil, &BusyError{Dir: dir, Holder: holder}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(lockPoll, time.Until(deadline))):
		}
	}
}

func openIn(dir, path string, flag int, create bool) (*os.File, error) {
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, &UnusableError{Dir: dir, Err: err}
		}
	}
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		return nil, &UnusableError{Dir: dir, Err: errPlanted}
	}
	f, err := os.OpenFile(path, flag|noFollow, 0o600)
	switch {
	case err == nil:
		return f, nil
	case !create && errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		return nil, &UnusableError{Dir: dir, Err: err}
	}
}

func samePath(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// Remove deletes the journal in dir, unless somebody holds it: then the error
// is a *BusyError. Files that were set aside stay. No journal is no error.
func Remove(dir string) error {
	f, err := lockFile(context.Background(), dir, lockPoll, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !renamesOpen {
		_ = f.Close()
	}
	defer func() { _ = f.Close() }()
	for _, name := range []string{newName, suspectName, holderName, fileName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &UnusableError{Dir: dir, Err: err}
		}
	}
	_ = os.Remove(dir) // unless something is left in it
	return nil
}
