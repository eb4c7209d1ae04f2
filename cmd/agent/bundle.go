package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/config"
	"agent/cmd/internal/dest"
	"agent/cmd/internal/joblog"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/journal"
)

// bundleLog is how much of a log is packed: its end.
const bundleLog = 4 << 20

// packed is one file of a bundle.
type packed struct {
	name, about string
	text        []byte
}

// runBundle packs what a support desk needs.
func runBundle(cmd *cobra.Command, d *doctor, s std, args []string) error {
	if err := atMostOne("job")(cmd, args); err != nil {
		return err
	}
	if exists(d.o.bundle) {
		return &dest.Mistake{Msg: d.o.bundle + " is there already", Hint: "remove it, or choose another name"}
	}
	d.examine(cmd, nil)
	files, err := d.collect(cmd.Context(), settingsOf(cmd.Root()), args)
	if err != nil {
		return err
	}
	var r joblog.Redactor
	hide := newHider(d.o.redactNames)
	for i := range files {
		files[i].text = hide.text([]byte(r.String(string(files[i].text))))
	}
	if err := d.agree(cmd.Context(), s, files); err != nil {
		return err
	}
	if err := writeBundle(d.o.bundle, files); err != nil {
		return fmt.Errorf("the bundle can't be written: %w", err)
	}
	fmt.Fprintf(s.err, "wrote %s\n", show.Clean(d.o.bundle))
	return nil
}

// collect gathers what goes into the bundle, before names and secrets are taken out.
func (d *doctor) collect(ctx context.Context, settings, args []string) ([]packed, error) {
	report, err := show.AsJSON(d.report(), "  ")
	if err != nil {
		return nil, err
	}
	files := []packed{{"doctor.json", "what doctor found", report}}
	if path, _, err := configFile(); err == nil && exists(path) {
		files = append(files, packed{"config.toml", "what the configuration file sets", settingsIn(path, settings)})
	}
	if len(args) == 0 {
		return files, nil
	}
	state, err := stateDir(d.o.connection.stateDir)
	if err != nil {
		return nil, err
	}
	id := args[0]
	dir := filepath.Join(state, "jobs", id)
	if filepath.Base(id) != id || !exists(dir) {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("there is no job %q", id), Hint: "its id is in the first line of each run, and the name of its folder in " + filepath.Join(state, "jobs")}
	}
	if text, err := tail(filepath.Join(dir, "log"), bundleLog); err == nil {
		files = append(files, packed{"log", "the log of job " + id, text})
	}
	return append(files, packed{"uploads.txt", "ids of its unfinished uploads", openUploads(ctx, dir)}), nil
}

// settingsIn is what the configuration file sets, without its commands: there may be
// secrets in them that look like none. Of a file that can't be used it is told why, and
// no value: nobody knows which of them is a command.
func settingsIn(path string, known []string) []byte {
	f, err := config.Load(path, known)
	if err != nil {
		return fmt.Appendf(nil, "# left out, because it can't be used: %v\n", err)
	}
	var b bytes.Buffer
	tellSettings(&b, f.Settings)
	for _, name := range f.Names() {
		fmt.Fprintf(&b, "\n[destination.%s]\ndest = %q\n", name, f.Destinations[name].Dest)
		tellSettings(&b, f.Destinations[name].Settings)
	}
	return b.Bytes()
}

func tellSettings(b *bytes.Buffer, settings map[string]config.Value) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		texts := settings[name].Texts
		if slices.Contains(secretFlags, name) {
			texts = []string{"[redacted]"}
		}
		fmt.Fprintf(b, "%s = %q\n", name, texts)
	}
}

// openUploads lists the job's unfinished uploads, or says why it can't.
func openUploads(ctx context.Context, dir string) []byte {
	ups, err := journal.OpenUploads(ctx, dir)
	if err != nil {
		return fmt.Appendf(nil, "not known: %v\n", err)
	}
	var b bytes.Buffer
	for _, u := range ups {
		fmt.Fprintf(&b, "key=%q upload=%s\n", u.Key, show.Clean(u.ID))
	}
	return b.Bytes()
}

// tail is the end of a file, from the beginning of a line.
func tail(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(fi.Size()-limit, 0)
	text, err := io.ReadAll(io.NewSectionReader(f, from, limit))
	if _, rest, ok := bytes.Cut(text, []byte("\n")); from > 0 && ok {
		text = rest
	}
	return text, err
}

// agree shows what is about to be packed, and asks.
func (d *doctor) agree(ctx context.Context, s std, files []packed) error {
	fmt.Fprintf(s.err, "%s will hold:\n", show.Clean(d.o.bundle))
	for _, f := range files {
		fmt.Fprintf(s.err, "  %-12s %10s  %s\n", f.name, show.Bytes(int64(len(f.text))), f.about)
	}
	switch {
	case d.o.redactNames:
		fmt.Fprintln(s.err, "Names of files and folders are replaced by hashes; secrets are taken out.")
	default:
		fmt.Fprintln(s.err, "It shows names of files and folders (--redact-names hides them); secrets are taken out.")
	}
	if d.o.yes {
		return nil
	}
	in, _ := s.in.(*os.File)
	term, ok := prompt.New(in, s.err)
	if !ok {
		return &dest.Mistake{Msg: "nothing was written: there is no terminal to ask on", Hint: "add --yes"}
	}
	answer, err := term.Line(ctx, "Write it? [y/N] ")
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		fmt.Fprintln(s.err, "nothing was written")
		return &shownError{exitFailures}
	}
	return nil
}

// writeBundle writes a whole bundle, or none.
func writeBundle(path string, files []packed) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".bundle-*") // for this user only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	for _, p := range files {
		h := &tar.Header{Name: program + "-bundle/" + p.name, Mode: 0o600, Size: int64(len(p.text)), ModTime: time.Now().Truncate(time.Second)}
		if err := t.WriteHeader(h); err != nil {
			return errors.Join(err, f.Close())
		}
		if _, err := t.Write(p.text); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(t.Close(), z.Close(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// hider puts hashes in place of names: the same name has the same hash within
// a bundle, and no other bundle's.
type hider struct {
	key []byte // nil: names stay
}

func newHider(hide bool) *hider {
	if !hide {
		return &hider{}
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	return &hider{key: key}
}

var (
	// nameValue are values that are names whether or not there is a slash in them.
	nameValue = regexp.MustCompile(`\b((?:key|path|sources?|destination|prefix|bucket|file|name|dir|state|dest)["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|[^\s,}]+)`)
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'`)
	// bare is a path outside of quotes.
	bare   = regexp.MustCompile(`[^\s"'=,()\[\]{}]*[/\\][^\s"',()\[\]{}]*`)
	origin = regexp.MustCompile(`^["']?(?:https?|s3)://(?:[^/"'\s]*)`)
	hashed = regexp.MustCompile(`^#[0-9a-f]{8}$`)
	pieces = regexp.MustCompile(`[^/\\"'\[\]]+`)
)

// text hides the names in a log, in JSON or in settings. It hides too much
// rather than too little: a quoted text with a slash in it goes as a whole.
func (h *hider) text(text []byte) []byte {
	if h.key == nil {
		return text
	}
	text = nameValue.ReplaceAllFunc(text, func(m []byte) []byte {
		at := nameValue.FindSubmatchIndex(m)
		return append(slices.Clone(m[:at[3]]), h.path(m[at[3]:])...)
	})
	text = quoted.ReplaceAllFunc(text, func(m []byte) []byte {
		if bytes.ContainsAny(m[1:len(m)-1], `/`) {
			return h.path(m)
		}
		return m
	})
	return bare.ReplaceAllFunc(text, h.path)
}

// path hides each part of a path; of an address host and scheme stay, which
// support has to know. Of s3:// the bucket stays.
func (h *hider) path(p []byte) []byte {
	head := origin.Find(p)
	rest := p[len(head):]
	return append(slices.Clone(head), pieces.ReplaceAllFunc(rest, func(part []byte) []byte {
		if hashed.Match(part) || len(bytes.TrimSpace(part)) == 0 {
			return part
		}
		m := hmac.New(sha256.New, h.key)
		m.Write(part)
		return []byte("#" + hex.EncodeToString(m.Sum(nil))[:8])
	})...)
}
