package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"agent/cmd/internal/joblog"
	"agent/cmd/internal/show"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
)

// session is one run of a task, with everything open that it needs.
type session struct {
	*task
	job     journal.Job
	dir     string // of the job
	slow    *s3store.HTTPClient
	store   *s3store.Store
	db      *journal.DB // nil in a dry run of a job that has none
	log     *joblog.Log
	redact  *joblog.Redactor
	sink    *show.Sink
	stopper *stopper
	waiter  *waiter

	surplus    *transfer.Surplus // what --delete is about; nil without it
	collector  collector
	most       int          // lanes that there may be
	readers    int          // of directories, likewise
	unverified atomic.Int64 // objects whose answer carried no checksum
}

// run does the task, and says how it ended.
func (t *task) run(ctx context.Context) error {
	if t.o.detach {
		job := t.newJob()
		return t.detached(ctx, job, filepath.Join(t.state, "jobs", job.ID))
	}
	s := &session{task: t, redact: &joblog.Redactor{}}
	var err error
	if s.slow, err = s3store.NewHTTPClient(s3store.HTTPOptions{CABundle: s.bundle, HeaderTimeout: 10 * time.Minute, MaxConns: 4, Limit: s.connection.o.limiter, Insecure: s.connection.o.insecure}); err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrRefused, err)
	}
	s.waiter = newWaiter(ctx, s)
	s.start(s.waiter.event)
	defer s.Close()
	defer s.slow.CloseIdle()
	s.job = t.newJob()
	s.dir = filepath.Join(t.state, "jobs", s.job.ID)
	if err := t.std.mayRun(s.job); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	err = s.transfer(ctx)
	s.waiter.close()
	if cerr := s.close(); err == nil {
		err = cerr
	}
	code := s.ended(err)
	if ferr := s.sink.Finish(code); ferr != nil && code == exitDone {
		code = exitLocal
	}
	s.remember(code, err)
	if cerr := s.log.Close(); cerr != nil && code == exitDone && t.o.logFile != "" {
		s.sink.Error("the log is incomplete: "+cerr.Error(), "")
	}
	if code == exitDone {
		return nil
	}
	return &shownError{code}
}

// newJob is what the task is known by.
func (t *task) newJob() journal.Job {
	if t.down != nil {
		return t.down.job(t)
	}
	return journal.NewJob(t.command(), sourcePaths(t.files), t.endpoint, t.dest.Bucket, t.prefix)
}

// command is what the user called.
func (t *task) command() string {
	switch {
	case t.sync != nil:
		return "sync"
	case t.down != nil:
		return journal.Download
	}
	return "upload"
}

// moved is what is done to bytes, as people and the log say it.
func (t *task) moved() string {
	if t.down != nil {
		return "fetched"
	}
	return "sent"
}

func sourcePaths(sources []transfer.Source) []string {
	paths := make([]string, len(sources))
	for i, s := range sources {
		paths[i] = s.Path
	}
	return paths
}

// open opens journal, log and display, in this order: whoever finds the job
// held by another leaves no trace.
func (s *session) open(ctx context.Context) (err error) {
	if !s.o.dryRun || exists(filepath.Join(s.dir, "journal.db")) {
		s.db, err = journal.Open(ctx, s.dir, s.job, s.std.profiles.journal())
		if errors.Is(err, journal.ErrNewer) && s.o.restart && !s.o.dryRun {
			// It can't be read, but it may be forgotten.
			if err = journal.Remove(s.dir); err == nil {
				s.db, err = journal.Open(ctx, s.dir, s.job, s.std.profiles.journal())
			}
		}
		if err != nil {
			return err
		}
	}
	logPath := firstOf(s.o.logFile, filepath.Join(s.dir, "log"))
	if s.o.dryRun && s.o.logFile == "" {
		logPath = "" // leaves no trace
	}
	s.log, err = joblog.Open(logPath, joblog.Options{Verbose: s.o.verbose > 1, Fetching: s.down != nil, Redactor: s.redact, Private: s.o.logFile == ""})
	if err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return fmt.Errorf("%w: %w", transfer.ErrLocal, err)
	}
	s.sink = show.New(show.Options{
		Mode: s.mode(), Out: s.std.out, Err: s.std.err, Name: s.name, Verbose: s.o.verbose,
		LogPath: logPath, DryRun: s.o.dryRun, Credentials: s.life, Redact: s.redact.String,
		Explain: explainItem, Fetching: s.down != nil,
	})
	s.sink.Start(show.Start{
		Job: s.job.ID, Command: s.command(), Sources: s.args, Destination: s.destination(),
		Version: thisEdition().version, Resumed: s.db != nil && !s.db.New(),
	})
	s.log.Info("start", "version", thisEdition().version, "job", s.job.ID, "sources", fmt.Sprint(s.args), "destination", s.destination(),
		"endpoint", s.endpoint, "region", s.region, "parallel", s.o.parallel.String(), "part_size", s.o.partSize.String(),
		"memory", s.o.memory.String(), "checksum", s.checksum.String(), "state", s.dir, "pid", os.Getpid(), "limit", s.o.limit.String())
	s.sayInsecure()
	s.describe()
	return nil
}

// destination is where the bytes go, for people.
func (t *task) destination() string {
	if t.down != nil {
		return t.down.dir
	}
	return t.dest.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// event is where everything that happens comes out.
func (s *session) event(e transfer.Event) {
	if e.Kind == transfer.Done && !e.Verified {
		s.unverified.Add(1)
	}
	s.collector.event(e, s.redact.String)
	s.sink.Event(e)
	s.log.Event(e)
}

// transfer plans and sends.
func (s *session) transfer(ctx context.Context) error {
	stopper, ctx, unwatch := watch(ctx, func() {
		s.waiter.dismiss()
		s.event(transfer.Event{Kind: transfer.Notice, Text: "stopping: what is in flight may finish; press ^C again to leave at once"})
	})
	defer unwatch()
	s.stopper = stopper
	defer s.limit(stopper)()
	s.boundLanes(openFiles())
	s.store = s3store.New(s3store.Options{
		Bucket: s.dest.Bucket, Region: s.region, Endpoint: s.endpoint, Credentials: &hushed{Provider: s.provider, redact: s.redact},
		HTTP: s.http, SlowHTTP: s.slow, Parallel: int(s.o.parallel), Most: s.most, Memory: int64(s.o.memory), PartSize: int64(s.o.partSize),
		Checksum: s.checksum, SignPayload: s.o.signPayload,
		Prefix:   s.prefix,
		Patience: s.patience(), FirstPatience: s.firstPatience(), KeyPatience: s.keyPatience(),
		Event: s.event, Stop: stopper.stop,
	})
	if s.store.Plain() && !s.o.signPayload && s.down == nil {
		s.event(transfer.Event{Kind: transfer.Notice,
			Text: "the endpoint is plain http: bytes are checked by " + s.checksum.String() + " but not signed (--sign-payload signs them)"})
	}
	// Little garbage is made, and it is collected late: later than this saves no
	// CPU any more. The limit keeps large buffers from being counted thrice.
	debug.SetGCPercent(200)
	debug.SetMemoryLimit(s.memoryLimit())

	if s.down != nil {
		return s.fetch(ctx)
	}
	defer s.collectSurplus()()
	if s.o.dryRun {
		err := s.plan(ctx)
		return s.deleteSurplus(ctx, err == nil, err)
	}
	mark, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	return s.writeManifest(ctx, s.send(ctx, mark))
}

// firstPatience is how long the first answer may take.
func (s *session) firstPatience() time.Duration {
	if s.o.patience > 0 {
		return min(s.o.patience, time.Minute)
	}
	return time.Minute
}

// send runs the plan, with what goes on beside it.
func (s *session) send(ctx context.Context, mark transfer.Mark) error {
	scan := s.scanOptions()
	defer s.beside(ctx, func(ctx context.Context) { transfer.Count(ctx, s.files, scan, s.event) })()
	res, err := transfer.Run(ctx, s.steps(ctx, mark), s.store, s.db, transfer.RunOptions{
		Items: s.most * 4, Large: max(2, s.most/2), Size: s.o.partSize.most(), Lanes: s.lanes(),
		ContentType: s.contentTypes(), Event: s.event, Found: !s.terminal, Stop: s.stopper.stop, Mark: mark,
		Compare: s.compares(), Open: s.opens(),
	})
	if n := s.unverified.Load(); n > 0 && s.checksum != transfer.NoChecksum {
		s.event(transfer.Event{Kind: transfer.Notice,
			Text: fmt.Sprintf("the store answered without a checksum for %d objects: their stored bytes are not verified", n)})
	}
	switch {
	case err == nil && res.Failed > 0:
		err = &shownError{exitFailures}
	case err == nil:
		s.maybeNothing()
	}
	return s.deleteSurplus(ctx, res.Complete, err)
}

// memoryLimit is where garbage is collected sooner. An automatic number of lanes
// leaves half of --memory to bodies.
func (s *session) memoryLimit() int64 {
	if s.o.parallel == 0 {
		return int64(s.o.memory)/2 + 28<<20
	}
	return int64(s.o.memory) + 24<<20
}

// lanes tells how many large requests are of use just now; nil where the number
// is fixed.
func (s *session) lanes() func() int {
	if s.o.parallel != 0 {
		return nil
	}
	return s.store.Lanes
}

// beside starts what goes on beside the transfer; end stops it and waits. On a
// terminal count is part of it: for the time left somebody must know the total
// early, and the plan is only just ahead of the transfer.
func (s *session) beside(ctx context.Context, count func(context.Context)) (end func()) {
	side, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.tellHolder(side) })
	wg.Go(func() { s.waiter.watch(side) })
	if s.terminal {
		wg.Go(func() { count(side) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// maybeNothing says that there was nothing to do: a directory whose disk is
// not mounted looks the same.
func (s *session) maybeNothing() {
	if s.sink.Counts().FilesFound == 0 {
		s.notice("nothing was found to " + s.command())
	}
}

func (s *session) scanOptions() transfer.ScanOptions {
	return s.take.apply(transfer.ScanOptions{AllFiles: s.o.allFiles, NoFollowSymlinks: s.o.noFollow, DirMarkers: s.o.dirMarkers, Readers: s.readers})
}

func (s *session) contentTypes() func(string) string {
	if s.o.contentType == "" {
		return transfer.ContentType
	}
	return func(string) string { return s.o.contentType }
}

// steps is the plan as a stream.
func (s *session) steps(ctx context.Context, mark transfer.Mark) iter.Seq[transfer.Step] {
	o := transfer.PlanOptions{Mark: mark, Store: s.store, Prefix: s.prefix, Event: s.event, Records: noRecords{},
		Compare: s.compares(), Surplus: s.surplus, Since: s.storedSince()}
	if s.db != nil && (!s.o.dryRun || !s.o.restart) {
		o.Records = s.db
	}
	steps := transfer.Plan(ctx, transfer.Scan(ctx, s.files, s.scanOptions()), o)
	if s.o.dryRun {
		steps = transfer.AsStored(ctx, steps, s.store, o.Records, o.Compare)
	}
	return steps
}

// plan shows what would be done.
func (s *session) plan(ctx context.Context) error {
	var mark transfer.Mark
	if s.db != nil {
		var err error
		if mark, err = s.db.Mark(); err != nil {
			return err
		}
		if mark.Finished || s.o.restart || s.sync != nil {
			mark = transfer.Mark{}
		}
	}
	return s.showPlan(s.steps(ctx, mark))
}

func (s *session) showPlan(steps iter.Seq[transfer.Step]) error {
	failed := false
	for st := range steps {
		switch e := st.Event(); {
		case e.Kind == transfer.Failed && st.Item == (transfer.Item{}):
			return st.Err
		default:
			failed = failed || e.Kind == transfer.Failed
			if e.Kind == transfer.Planned {
				s.event(transfer.Event{Kind: transfer.Found, Key: e.Key, Path: e.Path, Bytes: e.Bytes})
			}
			s.event(e)
		}
	}
	s.event(transfer.Event{Kind: transfer.Scanned})
	if failed {
		return &shownError{exitFailures}
	}
	s.maybeNothing()
	return nil
}

// noRecords is the journal of a job that has none.
type noRecords struct{}

func (noRecords) Records(string, int) ([]transfer.Record, error) { return nil, nil }

func (noRecords) Upload(string) (up transfer.Upload, open bool, err error) { return up, false, nil }

// close closes the journal: what is queued is durable after it.
func (s *session) close() error {
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// ended reports what ended the run and gives the exit code.
func (s *session) ended(err error) int {
	code := exitCode(err)
	if sig := s.stopper.code(); sig != 0 && !errors.Is(err, transfer.ErrLocal) && (err != nil || code != exitDone) {
		s.log.Warn("stopped by a signal", "code", sig)
		s.sink.Error("stopped before everything was "+s.moved(), goesOn)
		return sig
	}
	if s.outOfTime(err) {
		s.log.Warn("stopped by --max-duration")
		s.sink.Error("stopped after --max-duration "+s.o.unattended.maxDuration.String()+", before everything was "+s.moved(), goesOn)
		return exitStopped
	}
	var shown *shownError
	if err != nil && !errors.As(err, &shown) {
		what, hint := explain(err)
		if way := s.waiter.advice(); way != "" && errors.Is(err, transfer.ErrCredentials) {
			hint = way + "; then " + goesOn
		}
		s.log.Error(what, "code", code)
		s.sink.Error(what, hint)
	}
	c := s.sink.Counts()
	s.log.Info("end", "code", code, s.moved(), c.FilesDone, "there", c.FilesThere, "failed", c.FilesFailed,
		"bytes_"+s.moved(), c.BytesSent, "bytes_saved", c.BytesSaved, "deleted", c.FilesDeleted)
	return code
}
