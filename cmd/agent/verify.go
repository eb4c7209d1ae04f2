package main

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/transfer"
)

// verifyLanes is what "auto" is for verify: it reads a disk, and asks the store
// for little.
const verifyLanes laneCount = 8

// verifyOptions are the flags of verify.
type verifyOptions struct {
	remote remoteOptions
	filter filterOptions
	limitOptions
	dryRun             bool
	allFiles, noFollow bool
	download, noExtra  bool
	manifest           string
	parallel           laneCount
	quiet, json        bool
}

func (o *verifyOptions) addFlags(cmd *cobra.Command) {
	o.remote.addFlags(cmd)
	o.filter.addFlags(cmd)
	o.limitOptions.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would be compared, and what is left out and why; ask the store nothing")
	f.BoolVar(&o.allFiles, "all-files", false, "expect .DS_Store ._* Thumbs.db .nfs* .ipynb_checkpoints too")
	f.BoolVar(&o.noFollow, "no-follow-symlinks", false, "leave out symbolic links")
	f.BoolVar(&o.download, "download", false, "fetch the bytes of objects of which the store keeps no checksum that tells")
	f.BoolVar(&o.noExtra, "no-extra", false, "objects that no file stands behind are no difference")
	f.StringVar(&o.manifest, "manifest", "", "compare with this `FILE`, which 'upload --manifest' wrote, instead of a directory")
	o.parallel = verifyLanes
	f.Var(&o.parallel, "parallel", "files read at once, a `number`; auto is 8. Objects are asked about at four times that")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print differences only")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func verifyCommand(name string, s std) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify DIR DEST | verify --manifest FILE DEST",
		Short: "Prove that every file is stored, and the same",
		Long: `Compares the files in DIR with the objects at DEST: by one listing, and the
checksums that the store keeps against the files, which are read once. Nothing is
sent and, without --download, no object is fetched. CRC64NVME, CRC32, CRC32C,
SHA-1 and SHA-256 count, of the whole object or by its parts, and MD5 ETags.

Differences are printed as they are found, and end it with 3:
  missing        the file is not stored
  extra          an object has no file (--no-extra: is no difference)
  size           the object has another size
  content        it has the same size, and other bytes
  unverifiable   the store keeps nothing that tells; --download would
Files and objects that can't be looked at are printed as failed; if that is all
that is wrong it ends with 1.

With --manifest the lines of the FILE whose keys lie at DEST take the place of
the files.

What filters leave out is not compared, and its objects are not extra.

` + exitHelp,
		Example: fmt.Sprintf(`  %[1]s verify ./dataset my-workspace/dataset
  %[1]s verify --no-extra --json ./dataset my-workspace/dataset
  %[1]s verify --exclude '*.tmp' ./dataset my-workspace/dataset
  %[1]s verify --manifest dataset.jsonl my-workspace/dataset`, name),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.remote.unattended(cmd, isTerminal(s.err) && !o.json && !o.quiet)
			return runVerify(cmd.Context(), name, args, o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// unattended is how long commands that may take hours wait, where it was not
// said: without end where somebody is watching, else a day.
func (o *remoteOptions) unattended(cmd *cobra.Command, watched bool) {
	for flag, d := range map[string]*time.Duration{"patience": &o.patience, "wait-credentials": &o.waitCreds} {
		switch {
		case cmd.Flags().Changed(flag):
		case watched:
			*d = 0
		default:
			*d = 24 * time.Hour
		}
	}
}

func runVerify(ctx context.Context, name string, args []string, o verifyOptions, s std) error {
	if o.parallel == 0 {
		o.parallel = verifyLanes
	}
	if o.parallel < 1 || o.parallel > 1024 {
		return &dest.Mistake{Msg: fmt.Sprintf("--parallel %d is not between 1 and 1024", o.parallel)}
	}
	want := 2
	if o.manifest != "" {
		want = 1
	}
	if len(args) != want {
		return &dest.Mistake{Msg: "name a directory and where it is stored", Hint: fmt.Sprintf("write: %[1]s verify DIR workspace/path, or: %[1]s verify --manifest FILE workspace/path", name)}
	}
	asked, most := o.parallel, readingFor(openFiles())
	o.parallel = min(o.parallel, laneCount(most))
	o.remote.connection.limiter = o.limiter()
	c, err := connect(ctx, o.remote.connection, args[want-1], int(o.parallel)*4+4)
	if err != nil {
		return err
	}
	v := &verifying{o: o, prefix: c.dest.Prefix}
	if err := v.choose(ctx, s, args, c.dest); err != nil {
		return err
	}
	v.out = bufio.NewWriterSize(s.out, 16<<10)
	if o.dryRun {
		return v.plan(s)
	}
	r, ctx := openRemote(ctx, name, o.remote, s, c, v.prefix, int(o.parallel))
	defer r.close()
	v.remote = r
	if o.parallel < asked {
		r.say("note: %s", fewFiles(openFiles(), files(most)+" at a time"))
	}
	return v.run(ctx)
}

// verifying is one run of verify.
type verifying struct {
	*remote
	o      verifyOptions
	out    *bufio.Writer
	prefix string // of all keys
	claims iter.Seq[transfer.Claim]
	take   *selection
	left   func(transfer.Entry)                     // told of what is left out; nil for nobody
	opens  func(path string) (transfer.File, error) // nil as usual

	ignored int                         // entries that were left out
	counts  [transfer.Undecided + 1]int // by verdict
	bytes   int64                       // of what is the same
	seen    atomic.Int64                // findings so far
	read    atomic.Int64                // bytes of them
}

// choose decides what is claimed, and which keys that can be.
func (v *verifying) choose(ctx context.Context, s std, args []string, d dest.Dest) error {
	if v.o.manifest != "" {
		return v.chooseListed(s, d)
	}
	sources, err := dest.Sources(args[:1], d)
	if err != nil {
		return err
	}
	v.prefix = sources[0].Prefix
	if v.take, err = v.o.filter.resolve(s, sources, v.prefix); err != nil {
		return err
	}
	if !sources[0].Dir || v.take.only != nil {
		v.o.noExtra = true // the listing also shows what begins like it, or what is in no list
	}
	scan := v.take.apply(transfer.ScanOptions{AllFiles: v.o.allFiles, NoFollowSymlinks: v.o.noFollow,
		Readers: readersFor(openFiles() - int(v.o.parallel)*filesForReading)})
	v.claims = transfer.Claims(v.counted(transfer.Scan(ctx, sources, scan)))
	if v.o.noFollow {
		v.opens = transfer.OpenStraight(sources)
	}
	return nil
}

// counted passes entries on and counts those that are left out.
func (v *verifying) counted(entries iter.Seq[transfer.Entry]) iter.Seq[transfer.Entry] {
	return func(yield func(transfer.Entry) bool) {
		for e := range entries {
			if e.Ignored != "" {
				v.leave(e)
			}
			if !yield(e) {
				return
			}
		}
	}
}

func (v *verifying) leave(e transfer.Entry) {
	v.ignored++
	if v.left != nil {
		v.left(e)
	}
}

// chooseListed claims what a manifest says.
func (v *verifying) chooseListed(s std, d dest.Dest) error {
	if v.o.filter.filesFrom != "" || v.o.filter.minAge.d > 0 {
		return &dest.Mistake{Msg: "--files-from and --min-age are about files, and with --manifest none are looked at", Hint: "--exclude, --include and --filter-from go with it"}
	}
	claims, exact, err := readManifest(v.o.manifest, d)
	if err != nil {
		return err
	}
	if v.prefix = d.Under(); exact {
		v.prefix, v.o.noExtra = d.Prefix, true // as for a single file
	}
	if v.take, err = v.o.filter.resolve(s, nil, v.prefix); err != nil {
		return err
	}
	if exact {
		v.take.single = path.Base(d.Prefix)
	}
	v.claims = func(yield func(transfer.Claim) bool) {
		for c := range claims {
			if why := v.take.leaveOut(c.Key); why != "" && c.Err == nil {
				v.leave(transfer.Entry{Item: transfer.Item{Key: c.Key}, Ignored: why})
				continue
			}
			if !yield(c) {
				return
			}
		}
	}
	return nil
}

func (v *verifying) run(ctx context.Context) error {
	stop := v.watchProgress(ctx)
	err := transfer.Verify(ctx, v.claims, v.store, transfer.VerifyOptions{
		Prefix: v.prefix, NoExtra: v.o.noExtra, LeaveOut: v.take.taken().LeaveOut, Download: v.o.download,
		Asking: int(v.o.parallel) * 4, Reading: int(v.o.parallel),
		Found: v.found, Notice: func(text string) { v.say("note: %s", text) }, Stop: v.stopper.stop, Open: v.opens,
	})
	stop()
	v.sum(err)
	if ferr := v.out.Flush(); err == nil && ferr != nil {
		err = ferr
	}
	if err != nil {
		return v.ended(err)
	}
	switch {
	case v.different() > 0:
		return &shownError{exitDifferent}
	case v.counts[transfer.Undecided] > 0:
		return &shownError{exitFailures}
	}
	return nil
}

// different is how many differences there are.
func (v *verifying) different() int {
	n := 0
	for _, d := range []transfer.Verdict{transfer.Missing, transfer.Extra, transfer.OtherSize, transfer.OtherContent, transfer.Unverifiable} {
		n += v.counts[d]
	}
	return n
}

// differenceLine is a finding as --json tells of it.
type differenceLine struct {
	Type   string    `json:"type"`
	Time   time.Time `json:"time"`
	What   string    `json:"what"`
	Key    string    `json:"key"`
	Path   string    `json:"path,omitempty"`
	Size   *int64    `json:"size,omitempty"`   // as it should be
	Stored *int64    `json:"stored,omitempty"` // as it is
	How    string    `json:"how,omitempty"`
	Error  string    `json:"error,omitempty"`
}

func (v *verifying) found(f transfer.Finding) {
	v.counts[f.Verdict]++
	v.seen.Add(1)
	v.read.Add(f.Stored)
	if f.Verdict == transfer.Same {
		v.bytes += f.Stored
		return
	}
	var why string
	if f.Err != nil {
		what, hint := explainItem(f.Err)
		if why = what; hint != "" {
			why += " — " + hint
		}
		why = v.redact.String(why)
	}
	if v.o.json {
		line := differenceLine{Type: "difference", Time: time.Now().UTC().Truncate(time.Millisecond), What: f.Verdict.String(), Key: f.Key, Path: f.Path, How: f.How, Error: why}
		if f.Verdict != transfer.Extra && f.Err == nil {
			line.Size = &f.Size
		}
		if f.Verdict != transfer.Missing && f.Err == nil {
			line.Stored = &f.Stored
		}
		_ = encodeLine(v.out, line) // Flush tells
		return
	}
	name := f.Path
	if name == "" {
		name = f.Key
	}
	switch {
	case f.Err != nil:
	case f.Verdict == transfer.OtherSize:
		why = fmt.Sprintf("%d bytes, stored are %d", f.Size, f.Stored)
	case f.How != "" && f.Verdict == transfer.OtherContent:
		why = "by its " + f.How
	default:
		why = f.How
	}
	if why != "" {
		why = " (" + why + ")"
	}
	_, _ = fmt.Fprintf(v.out, "%-12s %s%s\n", f.Verdict, show.Clean(name), show.Clean(why)) // Flush tells
}

// endLine ends --json.
type endLine struct {
	Type         string    `json:"type"`
	Time         time.Time `json:"time"`
	Complete     bool      `json:"complete"`
	Same         int       `json:"same"`
	Bytes        int64     `json:"bytes"`
	Missing      int       `json:"missing"`
	Extra        int       `json:"extra"`
	Size         int       `json:"size"`
	Content      int       `json:"content"`
	Unverifiable int       `json:"unverifiable"`
	Failed       int       `json:"failed"`
	Ignored      int       `json:"ignored"`
}

// sum says what was found; err is what ended it early.
func (v *verifying) sum(err error) {
	c := &v.counts
	if v.o.json {
		_ = encodeLine(v.out, endLine{"end", time.Now().UTC().Truncate(time.Millisecond), err == nil, c[transfer.Same], v.bytes, c[transfer.Missing], c[transfer.Extra],
			c[transfer.OtherSize], c[transfer.OtherContent], c[transfer.Unverifiable], c[transfer.Undecided], v.ignored}) // Flush tells
		return
	}
	_ = v.out.Flush() // before the summary; the last one tells
	if v.o.quiet {
		return
	}
	parts := []string{fmt.Sprintf("the same: %s, %s", objects(c[transfer.Same]), show.Bytes(v.bytes))}
	for _, d := range []transfer.Verdict{transfer.Missing, transfer.Extra, transfer.OtherSize, transfer.OtherContent, transfer.Unverifiable, transfer.Undecided} {
		if c[d] > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", d, show.Count(c[d])))
		}
	}
	if v.ignored > 0 {
		parts = append(parts, "ignored: "+show.Count(v.ignored))
	}
	v.say("%s", strings.Join(parts, "; "))
	if err != nil {
		v.say("not all was looked at")
	} else if v.seen.Load() == 0 {
		v.say("note: there was nothing to verify")
	}
}

// progressEvery is how often a terminal is told how far it is.
const progressEvery = 10 * time.Second

// watchProgress tells a terminal how far it is, until the returned function is
// called.
func (v *verifying) watchProgress(ctx context.Context) (stop func()) {
	if v.o.json || v.o.quiet || !isTerminal(v.std.err) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				v.say("looked at %s so far, %s", objects(int(v.seen.Load())), show.Bytes(v.read.Load()))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
