package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
)

// downloadOptions are the flags of download. Those that it shares with upload
// mean the same there.
type downloadOptions struct {
	run      uploadOptions
	existing string
}

func (o *downloadOptions) addFlags(cmd *cobra.Command) {
	r := &o.run
	r.connection.addFlags(cmd)
	r.detachOptions.addFlags(cmd)
	r.partSize, r.memory = 16<<20, 64<<20
	f := cmd.Flags()
	f.StringVar(&o.existing, "existing", "fail", "what to do about a file that differs and is not as this job left it: fail (name it, fetch the others), keep, replace")
	f.BoolVarP(&r.dryRun, "dry-run", "n", false, "print what would be done and why; fetch nothing")
	f.BoolVar(&r.restart, "restart", false, "forget what earlier runs did")
	f.Var(&r.partSize, "part-size", "size of the ranges that large objects are fetched in, and remembered by")
	f.IntVar(&r.parallel, "parallel", 8, "large ranges in flight at once; small objects go at four times that")
	f.DurationVar(&r.patience, "patience", 0, "how long the store may be away, e.g. 2h (default: without end on a terminal, else 24h)")
	f.DurationVar(&r.waitCreds, "wait-credentials", 0, "how long to wait for new credentials (default: without end on a terminal, 10m in a systemd unit, else 24h)")
	f.StringVar(&r.onWait, "on-wait", "", "run `COMMAND` each time it begins to wait for credentials, with the reason on its standard input")
	f.BoolVarP(&r.quiet, "quiet", "q", false, "print errors only")
	f.BoolVar(&r.json, "json", false, "print one JSON object a line")
	f.CountVarP(&r.verbose, "verbose", "v", "print retries too; -vv logs every file")
	f.StringVar(&r.logFile, "log-file", "", "write the log to `FILE` (default: in the job's folder)")
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

Keys that can't be files below DIR (../x, /x, a/b beside a, parts of more than
255 bytes; on Windows also CON, a:b, a\b and the like) are named as failures.
Nothing is ever written outside DIR, through symbolic links neither.

` + exitHelp,
		Example: fmt.Sprintf(`  %[1]s download my-workspace/dataset ./dataset
  %[1]s download my-workspace/scenes/scene.tif .
  %[1]s download s3://my-bucket/netcdf/ ./netcdf
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
}

func (d *download) job(t *task) journal.Job {
	return journal.NewDownload(d.urls, t.endpoint, t.dest.Bucket, t.prefix, d.dir)
}

func runDownload(ctx context.Context, name string, args []string, o downloadOptions, s std) error {
	t := &task{name: name, o: o.run, std: s, down: &download{}, checksum: transfer.CRC64NVME}
	if err := t.resolveDownload(ctx, args, o); err != nil {
		return err
	}
	return t.run(ctx)
}

// resolveDownload turns arguments and flags into a task, or into a mistake.
func (t *task) resolveDownload(ctx context.Context, args []string, o downloadOptions) (err error) {
	d := t.down
	if d.existing, err = parseExisting(o.existing); err != nil {
		return err
	}
	if t.o.parallel < 1 || t.o.parallel > 1024 {
		return &dest.Mistake{Msg: fmt.Sprintf("--parallel %d is not between 1 and 1024", t.o.parallel)}
	}
	if t.o.partSize < 1<<20 || t.o.partSize > 5<<30 {
		return &dest.Mistake{Msg: "--part-size " + t.o.partSize.String() + " is not between 1MiB and 5GiB"}
	}
	if t.args, d.dir, err = dest.SplitDownload(args); err != nil {
		return err
	}
	if t.connection, err = connect(ctx, t.o.connection, t.args[0], t.o.parallel*4+4); err != nil {
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
	t.terminal = isTerminal(t.std.err) && !t.o.json && !t.o.quiet
	return nil
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
			Items: s.o.parallel * 4, Large: max(2, s.o.parallel/2), Size: int64(s.o.partSize),
			Event: s.event, Found: !s.terminal, Stop: s.stopper.stop,
		},
		Existing: d.existing, PartSize: int64(s.o.partSize), Parallel: s.o.parallel,
	}
	var err error
	if s.o.dryRun {
		if o.Target, err = transfer.PeekTarget(d.dir); err != nil {
			return err
		}
		defer func() { _ = o.Target.Close() }()
		return s.mayList(s.showPlan(s.fetches(ctx, o)))
	}
	if o.Target, err = transfer.OpenTarget(d.dir, s.job.ID); err != nil {
		return err
	}
	defer func() { _ = o.Target.Close() }()
	if err := s.prepareFetch(ctx, o.Target); err != nil {
		return err
	}
	defer s.beside(ctx, func(ctx context.Context) {
		transfer.CountRemote(ctx, s.store, d.remotes, o.Target, s.event)
	})()
	res, err := transfer.Download(ctx, s.fetches(ctx, o), s.store, s.db, o)
	if n := s.unverified.Load(); n > 0 {
		s.notice(fmt.Sprintf("the store keeps no checksum of %d objects: their size was compared, and what TLS guards; their bytes were not", n))
	}
	if err == nil && res.Failed > 0 {
		return &shownError{exitFailures}
	}
	if err == nil {
		s.maybeNothing()
	}
	return s.mayList(err)
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
	case errors.Is(err, transfer.ErrPath):
		return "fetch it with another tool, under another name, or have it renamed in the store"
	case errors.Is(err, transfer.ErrExists):
		return "--existing replace overwrites such files, --existing keep leaves them"
	case errors.Is(err, transfer.ErrReplaced):
		return "run again when nothing writes to it any more"
	case errors.Is(err, transfer.ErrDamaged):
		return "run again; if it stays so, something on the way or in the store damages it: upload it anew"
	case errors.Is(err, transfer.ErrNotExist) && e.Op == "list":
		return "check its spelling: neither an object nor a prefix is called so"
	case errors.Is(err, transfer.ErrNotExist):
		return "somebody removed it meanwhile"
	case errors.Is(err, transfer.ErrDenied) && e.Op == "GetObject":
		return "these credentials may not read this object"
	case errors.Is(err, fs.ErrPermission) && (e.Op == "create" || e.Op == "mkdir" || e.Op == "rename"):
		return "make its directory writable for this user"
	}
	return ""
}
