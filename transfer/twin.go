package transfer

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// twin is a name that looks the same and is written in another form of Unicode:
// "é" is one character (NFC) or an e and an accent (NFD). Old file systems of
// Macs keep the second, most others what they are given, and stores take both
// for two objects (aws-cli#1639).
//
// The two forms lie far apart in key order, so a merge does not see both. A file
// that would be sent as new asks the store for its twin: one request for each
// new name that has one, and none for others.
type twin struct {
	key  string
	path string // of the file that would be called so
}

// twins are the other forms of the name of item below prefix: all composed and
// all decomposed.
func twins(item *Item, prefix string) []twin {
	rel, ok := strings.CutPrefix(item.Key, prefix)
	root, below := strings.CutSuffix(item.Path, filepath.FromSlash(rel))
	if !ok || !below || rel == "" || isASCII(rel) {
		return nil
	}
	var found []twin
	for _, f := range []norm.Form{norm.NFC, norm.NFD} {
		if other := f.String(rel); other != rel && len(prefix)+len(other) <= MaxKey {
			found = append(found, twin{prefix + other, root + filepath.FromSlash(other)})
		}
	}
	return found
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// otherFile reports whether the twin is a file of its own here, so that both
// are to be stored.
func (t twin) otherFile(path string) bool {
	twin, err := os.Lstat(t.path)
	if err != nil {
		return false
	}
	own, err := os.Lstat(path)
	return err != nil || !os.SameFile(own, twin)
}

// asStored has a file that would be sent as new go by the key of its twin, if
// that is stored. A nil store leaves it to the journal alone.
func (s *Step) asStored(ctx context.Context, store Store, recs Records, by Compare) error {
	for _, t := range s.twins {
		batch, err := recs.Records(t.key, 1)
		if err != nil {
			return &Error{Op: "journal", Key: t.key, Err: errors.Join(ErrLocal, err)}
		}
		var rec Record
		known := len(batch) > 0 && batch[0].Key == t.key
		if known {
			rec = batch[0]
		}
		var obj Object
		stored := false
		if store != nil {
			obj, err = store.Stat(ctx, t.key)
			if err != nil && !errors.Is(err, ErrNotExist) && !errors.Is(err, ErrDenied) {
				return err
			}
			stored = err == nil
		}
		if (stored || known && store == nil) && !t.otherFile(s.Item.Path) {
			s.Item.Key = t.key
			s.judge(rec, known, obj, stored, store != nil, by)
			return nil
		}
	}
	return nil
}

// AsStored is steps with the keys that Run would use for them: those of names
// that are stored in another form of Unicode. store may be nil, and then the
// journal alone is asked.
func AsStored(ctx context.Context, steps iter.Seq[Step], store Store, recs Records, by Compare) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		for s := range steps {
			if err := s.asStored(ctx, store, recs, by); err != nil {
				yield(Step{Entry: Entry{Err: err}})
				return
			}
			if !yield(s) {
				return
			}
		}
	}
}
