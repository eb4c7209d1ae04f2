package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/transfer"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	remote   remoteOptions
	time     time.Duration
	maxBytes byteSize

	download, json, quiet bool
}

func (o *benchOptions) addFlags(cmd *cobra.Command) {
	o.remote.addFlags(cmd)
	o.maxBytes = 16 << 30
	f := cmd.Flags()
	f.DurationVar(&o.time, "time", time.Minute, "how long to measure")
	f.Var(&o.maxBytes, "max-bytes", "send, and fetch, at most about so much")
	f.BoolVar(&o.download, "download", false, "fetch what was sent, too")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print the conclusion only")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

// Bounds of the flags: in less time, or with fewer bytes, a step is over before
// the link is up to speed.
const (
	benchLeastTime  = 5 * time.Second
	benchMostTime   = time.Hour
	benchLeastBytes = 64 << 20
)

func (o *benchOptions) check() error {
	switch {
	case o.time < benchLeastTime:
		return &dest.Mistake{Msg: fmt.Sprintf("--time %s is too short to measure anything", o.time), Hint: "give it at least 5s; a minute says more"}
	case o.time > benchMostTime:
		return &dest.Mistake{Msg: fmt.Sprintf("--time %s is longer than an hour", o.time), Hint: "a minute says enough"}
	case o.maxBytes < benchLeastBytes:
		return &dest.Mistake{Msg: fmt.Sprintf("--max-bytes %s is too little to measure anything", &o.maxBytes), Hint: "allow at least 64MiB"}
	case o.json && o.quiet:
		return &dest.Mistake{Msg: "--json and --quiet can't go together", Hint: "leave one of them out"}
	}
	return nil
}

func benchCommand(name string, s std) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench DEST",
		Short: "Measure the link, and say what to set",
		Long: `Measures how much the link to DEST carries: how long a small object takes, how
many of them go at a time, how fast parts go by 1, 2, 4, 8 … lanes, and with what
size of part. From where on more brings nothing, and whether the default settings
get there by themselves, it says at the end.

It sends made-up data to a prefix of its own below DEST, which it removes
afterwards, also when it is stopped; your own data is neither read nor touched.
What one that was killed has left there, the next one removes. It sends as fast
as it can: others who use the link notice. Requests are billed as always, and
versioned buckets keep what is removed as an older version.

` + exitHelp,
		Example: fmt.Sprintf(`  %[1]s bench my-workspace
  %[1]s bench --download --time 2m my-workspace/scratch
  %[1]s bench --max-bytes 1GiB --quiet s3://my-bucket/scratch`, name),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			switch len(args) {
			case 1:
			case 0:
				return &dest.Mistake{Msg: "bench writes, and no destination is named", Hint: "name one: " + name + " bench workspace/path"}
			default:
				return atMostOne("destination")(cmd, args)
			}
			if isTerminal(s.err) && !cmd.Flags().Changed("wait-credentials") {
				o.remote.waitCreds = 0 // somebody is there to bring them
			}
			return runBench(cmd.Context(), name, args[0], o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// benchMark begins the name of every prefix that bench writes to.
const benchMark = "." + program + "-bench-"

// benchConns is how many connections are kept: those of all small requests.
const benchConns = benchMaxLanes * smallForLarge

func runBench(ctx context.Context, name, destination string, o benchOptions, s std) error {
	c, err := connect(ctx, o.remote.connection, destination, benchConns)
	if err != nil {
		return err
	}
	// Whoever reads the output may leave, as 'head' does: that must not end it before
	// it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	line := &liveLine{w: s.err, on: isTerminal(s.err) && !o.json && !o.quiet}
	width := benchWidth(s.out)
	s.out, s.err = besideLine{line, s.out}, besideLine{line, s.err}
	under := c.dest.Under()
	prefix := under + benchMark + strings.ToLower(rand.Text()[:8]) + "/"
	r, ctx := openRemote(ctx, name, o.remote, s, c, prefix, benchMaxLanes)
	defer r.close()
	b := newBenching(r, o, under, prefix, line)
	b.print = benchPrinter{o: o, out: s.out, width: width, at: "s3://" + c.dest.Bucket + "/" + prefix}
	return b.whole(ctx)
}

// whole measures, cleans up, and says what came of it.
func (b *benching) whole(ctx context.Context) error {
	ctx, cancel := untilClosed(ctx, b.stopper.stop)
	defer cancel()
	earlier, err := b.leftovers(ctx)
	if err == nil {
		err = b.measure(ctx)
	}
	b.line.clear()
	if b.stopper.code() != 0 && len(b.objects.keys()) > 0 {
		b.say("stopping: what was sent is removed (once more ^C leaves at once)")
	}
	cerr := b.clean(err, earlier)
	if err != nil {
		return b.ended(b.withoutOwnKey(err))
	}
	if err := b.print.conclusion(b.found, b.moved.Load(), cerr == nil); err != nil {
		return err
	}
	if cerr != nil {
		return &shownError{exitFailures}
	}
	return nil
}

// untilClosed derives a context that ends when stop is closed: there is nothing in
// flight here that would have to be finished.
func untilClosed(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-over
	}
}

// withoutOwnKey drops the name of the made-up object from an error: what matters
// is where it was to go.
func (b *benching) withoutOwnKey(err error) error {
	var e *transfer.Error
	if errors.As(err, &e) && strings.HasPrefix(e.Key, b.prefix) {
		return &transfer.Error{Op: e.Op, Key: b.prefix, Err: e.Err}
	}
	return err
}
