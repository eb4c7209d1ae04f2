package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/transfer"
	"agent/transfer/filter"
)

// filterOptions are the flags that say which files are taken.
type filterOptions struct {
	rules     []ruleFlag // in the order in which they were given
	filesFrom string
	null      bool
	minAge    age
}

// ruleFlag is one --exclude, --include or --filter-from.
type ruleFlag struct{ flag, value string }

func (o *filterOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&ruleValue{o, "exclude", "PATTERN"}, "exclude", "leave out what matches, a gitignore pattern; may be repeated, the last that matches wins")
	f.Var(&ruleValue{o, "include", "PATTERN"}, "include", "take what matches after all, also below a directory that an --exclude before it left out")
	f.Var(&ruleValue{o, "filter-from", "FILE"}, "filter-from", "read gitignore rules from FILE")
	f.StringVar(&o.filesFrom, "files-from", "", "take only the files listed in `FILE` ('-': standard input), one path a line, relative to the only source; needs about 100 bytes of memory for each")
	f.BoolVar(&o.null, "null", false, "the paths of --files-from are ended by NUL, as by find -print0")
	f.Var(&o.minAge, "min-age", "leave out files changed more recently than this, e.g. 5m, 1d: they may still be written")
}

// ruleValue appends one kind of rule to the others.
type ruleValue struct {
	o          *filterOptions
	flag, kind string
}

func (v *ruleValue) Set(s string) error {
	v.o.rules = append(v.o.rules, ruleFlag{v.flag, s})
	return nil
}
func (v *ruleValue) String() string { return "" }
func (v *ruleValue) Type() string   { return v.kind }

// age is a flag's duration that may be written in days and weeks too.
type age struct {
	d    time.Duration
	text string
}

func (a *age) Set(s string) error {
	d, err := time.ParseDuration(s)
	for unit, long := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, cut := strings.CutSuffix(s, unit); cut && err != nil {
			var v float64
			if v, err = strconv.ParseFloat(n, 64); err == nil && v < 1e4 {
				d = time.Duration(v * float64(long))
			}
		}
	}
	if err != nil || d < 0 || d == 0 && strings.Trim(s, "0smhdw") != "" {
		return fmt.Errorf("%q is no duration: write for example 90s, 5m, 2h or 1d", s)
	}
	a.d, a.text = d, s
	return nil
}
func (a *age) String() string { return a.text }
func (a *age) Type() string   { return "DURATION" }

// selection is what the flags have a scan take.
type selection struct {
	rules  filter.List
	only   *transfer.Names
	prefix string // of the keys, cut off before rules are asked
	single string // the name of the only source, where that is a file
	minAge age
	now    time.Time // of the whole run: all its scans take the same
}

// resolve reads what the flags name. prefix is that of all keys.
func (o *filterOptions) resolve(s std, sources []transfer.Source, prefix string) (*selection, error) {
	sel := &selection{prefix: prefix, minAge: o.minAge, now: time.Now()}
	if len(sources) == 1 && !sources[0].Dir {
		sel.single = filepath.Base(sources[0].Path)
	}
	for _, r := range o.rules {
		if err := r.add(&sel.rules, sources); err != nil {
			return nil, err
		}
	}
	if o.filesFrom == "" {
		if o.null {
			return nil, &dest.Mistake{Msg: "--null is about --files-from, which is not there"}
		}
		return sel, nil
	}
	if len(sources) != 1 || !sources[0].Dir {
		return nil, &dest.Mistake{Msg: "--files-from needs one source, and that a directory", Hint: "the listed paths are relative to it"}
	}
	var err error
	sel.only, err = o.readNames(s)
	return sel, err
}

// add adds the flag's rules to l.
func (r ruleFlag) add(l *filter.List, sources []transfer.Source) error {
	text := r.value
	if r.flag == "filter-from" {
		return readRules(l, text)
	}
	what := fmt.Sprintf("--%s %q", r.flag, text)
	if strings.HasPrefix(text, "!") {
		other := map[string]string{"exclude": "include", "include": "exclude"}[r.flag]
		return &dest.Mistake{Msg: what + ": a ! means nothing here", Hint: "write --" + other + ` for the opposite, and \! for a name that begins so`}
	}
	for _, s := range sources {
		if below, ok := strings.CutPrefix(text, filepath.ToSlash(s.Path)+"/"); ok && s.Dir {
			return &dest.Mistake{Msg: what + ": patterns are not about the paths of this machine",
				Hint: fmt.Sprintf("they begin at the source: write %q", "/"+below)}
		}
	}
	var err error
	if r.flag == "exclude" {
		err = l.Exclude(text, "--exclude "+text)
	} else {
		if !l.Excludes() {
			return &dest.Mistake{Msg: what + " brings nothing back: nothing was left out before it",
				Hint: "everything is taken that no --exclude matches; to take only these, write --exclude '*' before it"}
		}
		err = l.Include(text)
	}
	if err != nil {
		return &dest.Mistake{Msg: what + ": " + err.Error(), Hint: ruleHint(err)}
	}
	return nil
}

func ruleHint(err error) string {
	if errors.Is(err, filter.ErrDots) {
		return "write /name for what lies directly in the source, name for what lies anywhere in it"
	}
	if runtime.GOOS == "windows" && errors.Is(err, filter.ErrBackslash) {
		return "write / between the parts of a path"
	}
	return `write \ before a character that is to stand for itself`
}

func readRules(l *filter.List, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return unreadable("filter-from", name, err)
	}
	defer f.Close()
	if err := l.Read(f, name); err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			return unreadable("filter-from", name, pe)
		}
		return &dest.Mistake{Msg: err.Error(), Hint: ruleHint(err)}
	}
	return nil
}

func unreadable(flag, name string, err error) *dest.Mistake {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &dest.Mistake{Msg: fmt.Sprintf("--%s %s: %v", flag, name, err)}
}

func (o *filterOptions) readNames(s std) (*transfer.Names, error) {
	in, name := s.in, "standard input"
	if o.filesFrom != "-" {
		f, err := os.Open(o.filesFrom)
		if err != nil {
			return nil, unreadable("files-from", o.filesFrom, err)
		}
		defer f.Close()
		in, name = io.Reader(f), o.filesFrom
	}
	names, err := transfer.ReadNames(in, o.null)
	switch {
	case err == nil:
		return names, nil
	case errors.Is(err, transfer.ErrOutside):
		return nil, &dest.Mistake{Msg: "--files-from " + name + ": " + err.Error(), Hint: "write paths relative to the source, without a / at the beginning"}
	case errors.Is(err, transfer.ErrList):
		hint := "write one path a line, in UTF-8; --null where each is ended by NUL"
		if o.null {
			hint = "--null is for paths that are ended by NUL, as by find -print0"
		}
		return nil, &dest.Mistake{Msg: "--files-from " + name + ": " + err.Error(), Hint: hint}
	default:
		return nil, unreadable("files-from", name, err)
	}
}

// apply has a scan take what the flags say.
func (s *selection) apply(o transfer.ScanOptions) transfer.ScanOptions {
	t := s.taken()
	o.Only, o.LeaveOut = t.Only, t.LeaveOut
	if t.Later != nil {
		o.Later = func(st transfer.Stat) string { return t.Later(time.Unix(0, st.MTime)) }
	}
	return o
}

// taken is what the flags say, for objects.
func (s *selection) taken() transfer.Taken {
	t := transfer.Taken{Only: s.only}
	if s.rules.Excludes() {
		t.LeaveOut = s.leaveOut
	}
	if s.minAge.d > 0 {
		limit, why := s.now.Add(-s.minAge.d), "changed within the last "+s.minAge.text
		t.Later = func(changed time.Time) string {
			if changed.After(limit) {
				return why
			}
			return ""
		}
	}
	return t
}

// leaveOut asks the rules about a key. Their paths are those below the
// destination; a single file has its own name, whatever its key.
func (s *selection) leaveOut(key string) string {
	if s.single != "" {
		return s.rules.LeaveOut(s.single, false)
	}
	path, dir := strings.CutSuffix(strings.TrimPrefix(key, s.prefix), "/")
	return s.rules.LeaveOut(path, dir)
}
