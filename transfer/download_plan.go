package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"runtime"
	"strings"
	"time"
)

// CountRemote lists the sources only to tell how much there is, by Found
// events and, when it saw all, Scanned.
func CountRemote(ctx context.Context, from Origin, sources []Remote, o DownloadOptions, event func(Event)) {
	for _, src := range sources {
		for s := range remoteSteps(ctx, from, src, &o) {
			switch {
			case s.Item == (Item{}):
				return // the plan meets it too
			case s.Err == nil && s.Ignored == "":
				event(Event{Kind: Found, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size})
			}
		}
	}
	if ctx.Err() == nil {
		event(Event{Kind: Scanned})
	}
}

// PlanDownload decides what each object below the sources needs, source by
// source and in order of the keys, from what the journal knows and what lies in
// the target. An error after which there is no plan comes as the Err of a last
// step.
func PlanDownload(ctx context.Context, from Origin, sources []Remote, recs Records, o DownloadOptions) iter.Seq[Step] {
	o = o.withDefaults()
	return func(yield func(Step) bool) {
		for _, src := range sources {
			known := recordCursor{r: recs}
			for s := range remoteSteps(ctx, from, src, &o) {
				if o.Names != nil && s.Fetch != nil {
					o.Names.add(s.Fetch.Name, 0)
				}
				if s.Err == nil && s.Ignored == "" {
					if err := s.decideFetch(&known, &o); err != nil {
						yield(Step{Entry: Entry{Err: err}})
						return
					}
				}
				if !yield(s) || s.Err != nil && s.Item == (Item{}) {
					return
				}
			}
		}
	}
}

// remoteSteps yields the objects of one source with the names they are to have,
// undecided but for those that are left out. A listing that fails is the Err of
// a last step without an Item.
func remoteSteps(ctx context.Context, from Origin, src Remote, o *DownloadOptions) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		prefix, under := src.Key, ""
		if !src.Dir {
			obj, found, err := first(ctx, from, src.Key)
			if err != nil {
				yield(Step{Entry: Entry{Err: err}})
				return
			}
			if found {
				yield(remoteStep(obj, path.Base(src.Key), o))
				return
			}
			prefix += "/"
		}
		if src.Keep && prefix != "" {
			under = path.Base(prefix) + "/"
		}
		objects := from.List(ctx, prefix, "")
		if o.Taken.Only != nil {
			objects = onlyThese(ctx, from, prefix, o.Taken.Only)
		}
		n := 0
		var nested nesting
		for obj, err := range objects {
			if err != nil && obj.Key == "" {
				yield(Step{Entry: Entry{Err: err}})
				return
			}
			n++
			if obj.Key == prefix && obj.Size == 0 {
				continue // the marker of the directory itself
			}
			s := remoteStep(obj, under+strings.TrimPrefix(obj.Key, prefix), o)
			switch {
			case errors.Is(err, errListedDir):
				s.Ignored, s.Err = "directory in a list of files", nil
			case err != nil:
				s.Err = err
			}
			if s.Ignored == "" {
				if file := nested.below(s.Fetch.Name); file != "" && s.Err == nil {
					s.Err = &Error{Op: "name", Key: obj.Key, Path: s.Item.Path,
						Err: fmt.Errorf("%w: %s is an object too, and no file can be a directory", ErrPath, prefix+strings.TrimPrefix(file, under))}
				}
			}
			if !yield(s) {
				return
			}
		}
		if n == 0 && ctx.Err() == nil && o.Taken.Only == nil {
			yield(Step{Entry: Entry{Item: Item{Key: src.Key}, Err: &Error{Op: "list", Key: src.Key, Err: ErrNotExist}}})
		}
	}
}

// first returns the object of this very key, if there is one: it sorts before
// all others that begin so.
func first(ctx context.Context, from Origin, key string) (Object, bool, error) {
	for obj, err := range from.List(ctx, key, "") {
		return obj, err == nil && obj.Key == key, err
	}
	return Object{}, false, nil
}

func remoteStep(obj Object, name string, o *DownloadOptions) Step {
	dir := strings.HasSuffix(name, "/") && obj.Size == 0
	s := Step{Entry: Entry{Item: Item{Key: obj.Key, Path: o.Target.Path(name), Stat: Stat{Size: obj.Size}, Meta: scanIsZarrMeta(path.Base(obj.Key)) && !dir}},
		Fetch: &Fetch{Object: obj, Name: name, Local: name, Dir: dir}}
	err := checkName(name, runtime.GOOS == "windows")
	if err == nil && strings.HasSuffix(name, "/") && !dir {
		err = fmt.Errorf("%w: it ends in a slash and has bytes", ErrPath)
	}
	if err != nil {
		// Where it would have been is of no interest, and may be misread.
		s.Item.Path = ""
	}
	if o.Taken.LeaveOut != nil {
		s.Ignored = o.Taken.LeaveOut(name)
	}
	if o.Taken.Later != nil && s.Ignored == "" {
		s.Ignored = o.Taken.Later(obj.Modified)
		s.Later = s.Ignored != ""
	}
	if err != nil && s.Ignored == "" {
		s.Err = &Error{Op: "name", Key: obj.Key, Err: err}
	}
	return s
}

// decideFetch fills in what to do about s. The error is the journal's.
func (s *Step) decideFetch(known *recordCursor, o *DownloadOptions) error {
	f := s.Fetch
	rec, recorded, err := known.find(f.Name)
	if err != nil {
		return &Error{Op: "journal", Err: errors.Join(ErrLocal, err)}
	}
	s.Record, s.Known = rec, recorded
	fi, err := s.find(o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.Action, s.Reason = Get, "not here yet"
		if recorded {
			s.Reason = "gone from the disk"
		}
		if f.Dir {
			s.Reason = "a directory"
		}
		return nil
	case err != nil:
		s.Err = diskError("stat", s.Item.Key, s.Item.Path, err)
		return nil
	case f.Dir && fi.IsDir():
		s.Action, s.Reason = Skip, "the directory is there"
		return nil
	case fi.IsDir() != f.Dir:
		s.Err = &Error{Op: "stat", Key: s.Item.Key, Path: s.Item.Path, Err: fmt.Errorf("%w: one is a file, the other a directory", ErrPath)}
		return nil
	}
	was := StatOf(fi)
	f.Was, f.Ours = &was, recorded && fi.Mode().IsRegular() && was == rec.Stat
	if !recorded && fi.Mode().IsRegular() {
		up, open, err := known.r.Upload(f.Name)
		if err != nil {
			return &Error{Op: "journal", Err: errors.Join(ErrLocal, err)}
		}
		f.Ours = open && up.inPlaceOf(was)
	}
	f.compare(s, rec, fi, o.Compare)
	if s.Action == Skip && !f.Ours && o.Compare != BySize && !o.Since.IsZero() && was.CTime > o.Since.UnixNano() {
		s.Action, s.Reason = Check, "a run ended while it was fetched"
	}
	if s.Action == Get && !f.Ours {
		s.apply(o.Existing)
	}
	return nil
}

// find looks at what has the step's name in the target.
func (s *Step) find(o *DownloadOptions) (fs.FileInfo, error) {
	f := s.Fetch
	local, err := o.Target.localName(f.Name)
	if err != nil {
		return nil, err
	}
	if f.Local = local; local != f.Name {
		s.Item.Path = o.Target.Path(local)
	}
	if o.Straight {
		if err := o.Target.straight(path.Dir(strings.TrimSuffix(local, "/"))); err != nil {
			return nil, err
		}
	}
	return o.Target.stat(local)
}

// compare says whether what has the name is the object, as far as that can be
// told without reading it.
func (f *Fetch) compare(s *Step, rec Record, fi fs.FileInfo, by Compare) {
	obj := &f.Object
	same := fi.Mode().IsRegular() && fi.Size() == obj.Size
	switch {
	case same && by == BySize:
		s.Action, s.Reason = Skip, "of the same size"
	case same && by == ByContent:
		s.Action, s.Reason = Check, "of the same size, perhaps the same"
	case f.Ours && s.Known && sameETag(rec.ETag, obj.ETag) && rec.Stat.Size == obj.Size:
		s.Action, s.Reason = Skip, "unchanged since it was fetched"
	case f.Ours:
		s.Action, s.Reason = Get, "replaced in the store"
	case !fi.Mode().IsRegular():
		s.Action, s.Reason = Get, "no regular file has its name"
	case !same:
		s.Action, s.Reason = Get, "the file differs in size"
	case sameSecond(fi.ModTime(), obj.Modified):
		s.Action, s.Reason = Skip, "of the same size and time"
	default:
		s.Action, s.Reason = Check, "of the same size, perhaps the same"
	}
}

func sameSecond(a, b time.Time) bool { return a.Unix() == b.Unix() }

// apply is the rule for a file that differs.
func (s *Step) apply(rule Existing) {
	switch rule {
	case Keep:
		s.Action, s.Reason = Skip, "kept, though it differs"
	case Replace:
		s.Action = Get
	default:
		s.Err = &Error{Op: "write", Key: s.Item.Key, Path: s.Item.Path, Err: ErrExists}
	}
}
