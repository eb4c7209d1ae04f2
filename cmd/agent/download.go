package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
)

// downloadOptions are the flags of download.
type downloadOptions struct {
	runOptions
	existing string
}

func (o *downloadOptions) addFlags(cmd *cobra.Command) {
	o.runOptions.addFlags(cmd, runWords{
		nothing:  "fetch nothing",
		partSize: "`size` of the ranges that large objects are fetched in, and remembered by; auto: 16MiB",
		parallel: "large ranges in flight at once, a `number`; auto: as many as are of use, up to 64. Small objects go at four times that",
	})
	cmd.Flags().StringVar(&o.existing, "existing", "fail", "what to do about a file that differs and is not as this job left it: fail (name it, fetch the others), keep, replace")
}

func downloadCommand(name string, s std) *cobra.Command {
	var o downloadOptions
	cmd := &cobra.Command{
		Use:   "download SOURCE... DIR",
		Short: "Fetch objects and what is below prefixes",
		Long: `Fetches SOURCE, which is workspace/path or s3://bucket/key, into the directory
DIR, which is made where it is missing. What is below a prefix goes under DIR;
an object keeps its last name there. With several sources each prefix keeps its
last name, too. Where an object and a prefix have the same name, SOURCE means
the object, and SOURCE/ the prefix.

Run the same command again after any interruption: it goes on from the last
range. Until a file is complete and its checksum compared, it is called
.NAME.….agent-part and only you can read it. It gets the time of the file it was
made from, as far as its metadata tell (mtime, as rclone writes it), else the
object's.

A file that is there already and is the same is not fetched again: it is as this
job left it, or has the object's size and time, or its size and checksum. What
this job has fetched and nobody has changed is replaced when the object is. Any
other file that differs is your own: it is left alone and named as a failure,
until --existing says keep or replace. Nothing in DIR is ever deleted.

Filters are about the paths below DIR: an object has its last name there, and with
several sources each path begins with the last name of its source. --min-age goes
by the time at which an object was stored. Metadata of a Zarr store come after all
else of it, and not at all while a chunk has failed.

Keys that can't be files below DIR (../x, /x, a/b beside a, parts of more than
255 bytes; on Windows also CON, a:b, a\b and the like) are named as failures.
Nothing is ever written outside DIR, through symbolic links neither.

` + exitHelp,
		Example: fmt.Sprintf(`  %[1]s download my-workspace/dataset ./dataset
  %[1]s download my-workspace/scenes/scene.tif .
  %[1]s download s3://my-bucket/netcdf/ ./netcdf
  %[1]s download --exclude '*' --include '*.tif' my-workspace/dataset ./dataset
  %[1]s download --limit 10MiB/s --max-duration 50m my-workspace/dataset ./dataset
  %[1]s download --dry-run my-workspace/dataset ./dataset`, name),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDownload(cmd.Context(), name, args, o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// download is what a download has in place of an upload's sources.
type download struct {
	dir      string // absolute
	remotes  []transfer.Remote
	urls     []string // of the sources, by which the job is known
	existing transfer.Existing
	compare  transfer.Compare
}

func (d *download) job(t *task) journal.Job {
	return journal.NewDownload(d.urls, t.endpoint, t.dest.Bucket, t.prefix, d.dir)
}

func runDownload(ctx context.Context, name string, args []string, o downloadOptions, s std) error {
	t := &task{name: name, std: s, begun: time.Now(), down: &download{}}
	if err := o.unattended.check(); err != nil {
		return err
	}
	rule, err := parseExisting(o.existing)
	if err != nil {
		return err
	}
	t.down.existing = rule
	if err = t.resolveDownload(ctx, args, o.runOptions); err == nil {
		err = t.run(ctx)
	}
	return t.reported(err)
}

// fetchMemory is for the buffers of requests: what is fetched goes to its file
// as it comes.
const fetchMemory = 64 << 20

// resolveDownload turns arguments and flags into a task, or into a mistake.
// t.down is set.
func (t *task) resolveDownload(ctx context.Context, args []string, o runOptions) (err error) {
	d := t.down
	t.o, t.checksum = uploadOptions{runOptions: o, memory: fetchMemory}, transfer.CRC64NVME
	if t.o.parallel < 0 || t.o.parallel > 1024 {
		return &dest.Mistake{Msg: fmt.Sprintf("--parallel %d is not between 1 and 1024", t.o.parallel)}
	}
	if p := t.o.partSize; p != 0 && (p < 1<<20 || p > 5<<30) {
		return &dest.Mistake{Msg: "--part-size " + t.o.partSize.String() + " is not between 1MiB and 5GiB"}
	}
	if t.args, d.dir, err = dest.SplitDownload(args); err != nil {
		return err
	}
	t.o.connection.limiter = t.o.limiter()
	if t.connection, err = connect(ctx, t.o.connection, t.args[0], t.o.parallel.most()*4+4); err != nil {
		return dest.AsSource(err)
	}
	sources := []dest.Dest{t.dest}
	for _, arg := range t.args[1:] {
		src, err := dest.ParseSource(arg, firstOf(t.o.connection.bucket, os.Getenv(variable("BUCKET")), defaultBucket))
		if err != nil {
			return err
		}
		if src.Workspace != t.dest.Workspace {
			return &dest.Mistake{Msg: fmt.Sprintf("%q and %q are in different workspaces", t.args[0], arg), Hint: "download them one after the other: each has credentials of its own"}
		}
		sources = append(sources, t.rehome(src))
	}
	if d.remotes, err = dest.Remotes(sources); err != nil {
		return err
	}
	t.prefix = t.dest.Prefix
	for _, src := range sources {
		d.urls = append(d.urls, src.String())
		for !strings.HasPrefix(src.Prefix, t.prefix) {
			t.prefix = t.prefix[:strings.LastIndexByte(strings.TrimSuffix(t.prefix, "/"), '/')+1]
		}
	}
	if err := t.resolveTaken(); err != nil {
		return err
	}
	t.terminal = isTerminal(t.std.err) && !t.o.json && !t.o.quiet
	return nil
}

// resolveTaken reads the filters of a download. Rules are about the paths below
// DIR, whatever the keys, and a list has one source to be relative to.
func (t *task) resolveTaken() (err error) {
	d := t.down
	if t.o.filter.filesFrom != "" {
		if len(d.remotes) != 1 {
			return &dest.Mistake{Msg: "--files-from needs one source, and that a prefix", Hint: "the listed paths are relative to it"}
		}
		d.remotes[0].AsDir()
	}
	t.take, err = t.o.filter.resolve(t.std, []transfer.Source{{Path: d.dir, Dir: true}}, "")
	return err
}

func parseExisting(s string) (transfer.Existing, error) {
	switch s {
	case "fail":
		return transfer.Fail, nil
	case "keep":
		return transfer.Keep, nil
	case "replace":
		return transfer.Replace, nil
	}
	return 0, &dest.Mistake{Msg: fmt.Sprintf("--existing %q is no rule", s), Hint: "choose fail, keep or replace"}
}

// fetch does a download.
func (s *session) fetch(ctx context.Context) error {
	d := s.down
	o := transfer.DownloadOptions{
		RunOptions: transfer.RunOptions{
			Items: s.most * 4, Large: max(2, s.most/2), Size: s.o.partSize.most(), Lanes: s.lanes(),
			Event: s.event, Found: !s.terminal, Stop: s.stopper.stop, Compare: d.compare,
		},
		Taken: s.take.taken(), Existing: d.existing, PartSize: s.o.partSize.most(), Parallel: s.most, Since: s.since(),
	}
	if s.o.dryRun {
		return s.mayList(s.planFetch(ctx, o))
	}
	var err error
	if o.Target, err = transfer.OpenTarget(d.dir, s.job.ID); err != nil {
		return err
	}
	defer func() { _ = o.Target.Close() }()
	if err := s.prepareFetch(ctx, o.Target); err != nil {
		return err
	}
	done, err := s.listNames(&o)
	if err != nil {
		return err
	}
	defer done()
	defer s.beside(ctx, func(ctx context.Context) {
		transfer.CountRemote(ctx, s.store, d.remotes, o, s.event)
	})()
	res, err := transfer.Download(ctx, s.fetches(ctx, o), s.store, s.db, o)
	if n := s.unverified.Load(); n > 0 {
		s.notice(fmt.Sprintf("the store keeps no checksum of %d objects: their size was compared, and what TLS guards; their bytes were not", n))
	}
	if err == nil && res.Failed > 0 {
		err = &shownError{exitFailures}
	}
	if err == nil {
		s.maybeNothing()
	}
	return s.mayList(s.sweep(ctx, &o, res, err))
}

// planFetch shows what a download would do.
func (s *session) planFetch(ctx context.Context, o transfer.DownloadOptions) (err error) {
	if o.Target, err = transfer.PeekTarget(s.down.dir); err != nil {
		return err
	}
	defer func() { _ = o.Target.Close() }()
	done, err := s.listNames(&o)
	if err != nil {
		return err
	}
	defer done()
	err = s.showPlan(s.fetches(ctx, o))
	return s.sweep(ctx, &o, transfer.Result{Complete: err == nil}, err)
}

// fetches is the plan as a stream.
func (s *session) fetches(ctx context.Context, o transfer.DownloadOptions) iter.Seq[transfer.Step] {
	var recs transfer.Records = noRecords{}
	if s.db != nil && (!s.o.dryRun || !s.o.restart) {
		recs = s.db
	}
	return transfer.PlanDownload(ctx, s.store, s.down.remotes, recs, o)
}

// prepareFetch brings the journal into the state the run begins from.
func (s *session) prepareFetch(ctx context.Context, target *transfer.Target) error {
	s.tellDamage("compared with what is in the directory")
	if !s.o.restart || s.db.New() {
		return nil
	}
	for _, name := range s.db.Uploads() {
		target.Remove(name)
	}
	return s.reopen(ctx)
}

// mayList explains a listing that is denied: nothing else can be done then.
func (s *session) mayList(err error) error {
	var e *transfer.Error
	if errors.As(err, &e) && errors.Is(err, transfer.ErrDenied) && !transfer.Fatal(err) {
		return &deniedListing{err}
	}
	return err
}

type deniedListing struct{ err error }

func (e *deniedListing) Error() string   { return e.err.Error() }
func (e *deniedListing) Unwrap() []error { return []error{transfer.ErrRefused, e.err} }
func (e *deniedListing) hint() string {
	return "credentials of a workspace list only what is below it: is the source in the workspace they were made for?"
}

// hintFetched advises on what is wrong with one file of a download.
func hintFetched(err error) string {
	var e *transfer.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch {
	case errors.Is(err, transfer.ErrPath) && e.Op != "name":
		return "move away what is in its way here, or have it renamed in the store"
	case errors.Is(err, transfer.ErrPath):
		return "fetch it with another tool, under another name, or have it renamed in the store"
	case errors.Is(err, transfer.ErrExists):
		return "--existing replace overwrites such files, --existing keep leaves them"
	case errors.Is(err, transfer.ErrReplaced):
		return "run again when nothing writes to it any more"
	case errors.Is(err, transfer.ErrDamaged):
		return "run again; if it stays so, something on the way or in the store damages it: upload it anew"
	case errors.Is(err, transfer.ErrNotExist) && e.Op == "list" && strings.HasSuffix(e.Key, "/"):
		return "check its spelling: nothing is stored below it; a single object is fetched by download, without the final slash"
	case errors.Is(err, transfer.ErrNotExist) && e.Op == "list":
		return "check its spelling: neither an object nor a prefix is called so"
	case errors.Is(err, transfer.ErrNotExist) && strings.ContainsRune(e.Key, utf8.RuneError):
		return "the store's listing does not tell its name as it is: have it renamed there, or upload it anew"
	case errors.Is(err, transfer.ErrNotExist):
		return "somebody removed it meanwhile"
	case errors.Is(err, transfer.ErrDenied) && e.Op == "GetObject":
		return "these credentials may not read this object"
	case errors.Is(err, fs.ErrPermission) && (e.Op == "create" || e.Op == "mkdir" || e.Op == "rename"):
		return "make its directory writable for this user"
	}
	return ""
}
