package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/transfer"
	"agent/transfer/checksum"
)

// manifestOptions are the flags of commands that leave a manifest behind.
type manifestOptions struct {
	manifest string
}

func (o *manifestOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.manifest, "manifest", "", "write a `FILE` with a JSON line for every stored file: path, key, size, checksum, ETag, time, URL")
}

// checkManifest refuses a place where no file can be written, or where it would be sent
// itself and differ from what is stored ever after, before anything is sent.
func (o *manifestOptions) checkManifest(sources []transfer.Source) error {
	if o.manifest == "" {
		return nil
	}
	dir := filepath.Dir(o.manifest)
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return &dest.Mistake{Msg: fmt.Sprintf("--manifest %s: there is no directory %s", o.manifest, dir), Hint: "make it first, or choose another"}
	}
	if fi, err := os.Stat(o.manifest); err == nil && !fi.Mode().IsRegular() {
		return &dest.Mistake{Msg: fmt.Sprintf("--manifest %s is no regular file", o.manifest)}
	}
	path, err := filepath.Abs(o.manifest)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if rel, err := filepath.Rel(s.Path, path); err == nil && filepath.IsLocal(rel) {
			return &dest.Mistake{Msg: fmt.Sprintf("--manifest %s lies in what is sent", o.manifest), Hint: "put it beside " + s.Path}
		}
	}
	return nil
}

// manifestLine is one stored file.
type manifestLine struct {
	Path  string    `json:"path"` // below what was named as source, with slashes
	Key   string    `json:"key"`
	Size  int64     `json:"size"`
	CRC64 string    `json:"crc64nvme,omitempty"` // base64, as S3 has it
	ETag  string    `json:"etag"`
	Time  time.Time `json:"time"` // of the file's last modification
	URL   string    `json:"url,omitempty"`
}

// writeManifest writes, after a run that saw all files, what of them is stored:
// also what was there before it. It replaces the file whole or not at all.
func (s *session) writeManifest(ctx context.Context, ran error) error {
	var shown *shownError
	if s.o.manifest == "" || s.o.dryRun || ran != nil && (!errors.As(ran, &shown) || shown.code != exitFailures) {
		return ran
	}
	lacking, err := s.manifestTo(ctx, s.o.manifest)
	if err != nil {
		return &manifestError{path: s.o.manifest, err: err}
	}
	if lacking > 0 {
		s.notice(fmt.Sprintf("the manifest lacks %d files that are not stored", lacking))
	}
	return ran
}

// manifestError is a manifest that could not be written.
type manifestError struct {
	path string
	err  error
}

func (e *manifestError) Error() string {
	return fmt.Sprintf("the manifest %s: %v", e.path, pathless(e.err))
}
func (e *manifestError) Unwrap() []error { return []error{transfer.ErrLocal, e.err} }
func (e *manifestError) hint() string {
	return "what is stored is stored: the same command writes the manifest alone"
}

func (s *session) manifestTo(ctx context.Context, path string) (lacking int, err error) {
	if err := s.db.Flush(ctx); err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 256<<10)
	// The plan without a listing: the files as they are now beside the journal's
	// records, in constant memory.
	plan := transfer.Plan(ctx, transfer.Scan(ctx, s.files, s.scanOptions()),
		transfer.PlanOptions{Records: s.db, Mark: transfer.Mark{All: true}, Prefix: s.prefix, Event: func(transfer.Event) {}})
	for st := range transfer.AsStored(ctx, plan, nil, s.db, transfer.ByJournal) {
		switch {
		case st.Err != nil && st.Item == (transfer.Item{}):
			return 0, st.Err
		case st.Ignored != "":
		case !st.Known, st.Record.Doubtful():
			lacking++
		default:
			if err := encodeLine(w, s.manifestLine(st)); err != nil {
				return 0, err
			}
		}
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if err := f.Chmod(0o644); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	return lacking, os.Rename(f.Name(), path)
}

func (s *session) manifestLine(st transfer.Step) manifestLine {
	rec := st.Record
	line := manifestLine{
		Path: strings.TrimPrefix(rec.Key, dest.Dest{Prefix: s.prefix}.Under()), Key: rec.Key, Size: rec.Stat.Size,
		CRC64: checksum.Encode64(rec.CRC64), ETag: strings.Trim(rec.ETag, `"`),
		Time: time.Unix(0, rec.Stat.MTime).UTC(), URL: s.objectURL(rec.Key),
	}
	if rec.Key == s.prefix && len(s.files) == 1 {
		line.Path = filepath.Base(s.files[0].Path)
	}
	return line
}

// filesHost is where the platform shows the objects of a workspace.
const filesHost = ".eodatahub-workspaces.org.uk"

// objectURL is where the platform shows an object to browsers; "" elsewhere.
func (c *connection) objectURL(key string) string {
	rest, ok := strings.CutPrefix(key, c.scope+"/")
	platform := c.dest.Bucket == defaultBucket || strings.HasPrefix(c.dest.Bucket, defaultBucket+"-")
	if !ok || !platform || !dest.IsWorkspace(c.scope) || c.endpoint != "" && !strings.HasSuffix(hostOf(c.endpoint), ".amazonaws.com") {
		return ""
	}
	u := url.URL{Scheme: "https", Host: c.scope + filesHost, Path: "/files/" + c.dest.Bucket + "/" + rest}
	return u.String()
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// mostLine is the longest line of a manifest.
const mostLine = 1 << 20

// readManifest checks a manifest and returns the claims of the lines whose keys
// lie at d. It is read anew for them: a million lines are not held.
//
// exact: d is the key of one of them.
func readManifest(path string, d dest.Dest) (claims iter.Seq[transfer.Claim], exact bool, _ error) {
	at, n, before := 0, 0, ""
	for c, err := range manifestClaims(path) {
		at++
		switch {
		case err != nil:
			return nil, false, &dest.Mistake{Msg: fmt.Sprintf("--manifest %s: %v", path, err), Hint: "it is to be a file that 'upload --manifest' wrote"}
		case c.Key <= before && at > 1:
			return nil, false, &dest.Mistake{Msg: fmt.Sprintf("--manifest %s, line %d: %q is not behind %q", path, at, c.Key, before),
				Hint: "its lines are to be in byte order of their keys, each once"}
		}
		before = c.Key
		exact = exact || c.Key == d.Prefix
		if lies(c.Key, d) {
			n++
		}
	}
	if n == 0 {
		return nil, false, &dest.Mistake{Msg: fmt.Sprintf("--manifest %s has no key at %s", path, d), Hint: "its keys begin with the workspace, such as my-workspace/dataset/…"}
	}
	return func(yield func(transfer.Claim) bool) {
		for c, err := range manifestClaims(path) {
			if err != nil {
				c = transfer.Claim{Err: &transfer.Error{Op: "read", Path: path, Err: err}}
			} else if !lies(c.Key, d) {
				continue
			}
			if !yield(c) {
				return
			}
		}
	}, exact, nil
}

// lies reports whether a key is d or lies below it.
func lies(key string, d dest.Dest) bool {
	return key == d.Prefix || strings.HasPrefix(key, d.Under())
}

// manifestClaims yields what each line says. It ends with the first error.
func manifestClaims(path string) iter.Seq2[transfer.Claim, error] {
	return func(yield func(transfer.Claim, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(transfer.Claim{}, pathless(err))
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, mostLine)
		for n := 1; lines.Scan(); n++ {
			c, err := parseManifestLine(lines.Bytes())
			if err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(transfer.Claim{}, pathless(err))
		}
	}
}

// pathless is a file's error without its name, which is told already.
func pathless(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func parseManifestLine(b []byte) (c transfer.Claim, err error) {
	var line struct {
		Key   string `json:"key"`
		Size  *int64 `json:"size"`
		CRC64 string `json:"crc64nvme"`
		ETag  string `json:"etag"`
	}
	if err := json.Unmarshal(b, &line); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || len(b) == 0 {
			return c, errors.New("it is empty or cut off")
		}
		return c, errors.New("it is no JSON object")
	}
	if line.Key == "" || line.Size == nil || *line.Size < 0 {
		return c, errors.New("it has no key or no size")
	}
	c = transfer.Claim{Key: line.Key, Size: *line.Size, ETag: line.ETag}
	if line.CRC64 != "" {
		if c.CRC64, err = checksum.Decode64(line.CRC64); err != nil {
			return c, err
		}
		c.HasCRC64 = true
	}
	return c, nil
}
