// Command bench measures the agent: CPU, time, memory and requests of uploads
// to a server that discards them, beside what the same bytes cost at least.
//
// All who take part in a contest are measured in turns, for several rounds, on
// one core, with the server on another; what counts is the ratio within a
// round, which a slow machine or a busy neighbour changes little.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // GBs are to be removed
	defer stop()
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	fmt.Fprintf(stderr, "bench: %v\n", err)
	return 1
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if child, ok := children[args[0]]; ok {
			return child(ctx, args[1:], stdout, stderr)
		}
		switch args[0] {
		case "sync":
			return benchSync(ctx, args[1:], stdout, stderr)
		case "link":
			return benchLink(ctx, args[1:], stdout, stderr)
		}
		if args[0] == "million" {
			return benchMillion(ctx, args[1:], stdout, stderr)
		}
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	return o.bench(ctx, stdout)
}

// options are the flags.
type options struct {
	agent   string
	sandbox string
	peers   string
	alone   bool
	rounds  int
	only    string
	scale   float64
	dir     string
	out     string
	args    []string // as they were given, for the report
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{args: args}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, "Usage: bench [flags], for contests of uploads;\n"+
			"  bench sync [flags], for unchanged trees; bench link [flags], for a link with latency.\n"+
			"Each has -h. Flags of the contests:\n")
		f.PrintDefaults()
	}
	f.StringVar(&o.agent, "agent", "bin/agent", "`path` of the agent")
	f.StringVar(&o.sandbox, "sandbox", "bin/sandbox", "`path` of the sandbox")
	f.StringVar(&o.peers, "peers", "bin/peers", "look for other clients in `DIR`, before PATH")
	f.BoolVar(&o.alone, "alone", false, "without other people's clients")
	f.IntVar(&o.rounds, "rounds", 5, "how often each contest is held; some are held less often")
	f.StringVar(&o.only, "only", "", "hold only the contests with these `names`: "+strings.Join(contestNames(), ","))
	f.Float64Var(&o.scale, "scale", 1, "make the workloads so many times as large")
	f.StringVar(&o.dir, "dir", "", "make the workloads below `DIR` (default: the system's temporary folder)")
	f.StringVar(&o.out, "out", "", "write the report to `FILE` (default: bench/RESULTS.md after a full run, else nowhere)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected %q", f.Arg(0))
	case o.rounds < 1 || !(o.scale > 0):
		return o, errors.New("-rounds and -scale must be positive")
	}
	for _, name := range o.names() {
		if !slices.Contains(contestNames(), name) {
			return o, fmt.Errorf("no contest %q; there are %s", name, strings.Join(contestNames(), ", "))
		}
	}
	if o.out == "" && o.only == "" && o.scale == 1 {
		o.out = filepath.Join("bench", "RESULTS.md")
	}
	for _, path := range []*string{&o.agent, &o.sandbox, &o.peers} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return o, err
		}
	}
	return o, nil
}

// names are the contests that were asked for; none are all.
func (o options) names() []string {
	if o.only == "" {
		return nil
	}
	return strings.Split(o.only, ",")
}

// asked are the contests to be held.
func (o options) asked() (all []contest) {
	for _, c := range contests {
		if names := o.names(); names == nil || slices.Contains(names, c.name) {
			all = append(all, c)
		}
	}
	return all
}

// built tells whether what the contests need is there.
func (o options) built(asked []contest) error {
	need := []string{o.agent}
	if slices.ContainsFunc(asked, func(c contest) bool { return c.sandbox }) {
		need = append(need, o.sandbox)
	}
	for _, path := range need {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w: 'make build' makes it", err)
		}
	}
	return nil
}

// bench makes the workloads, holds the contests and reports. What was measured
// before a contest failed is kept.
func (o options) bench(ctx context.Context, stdout io.Writer) (err error) {
	asked := o.asked()
	if err := o.built(asked); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "agent-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	field := field{agent: o.agent, sandbox: o.sandbox, peers: o.peers, alone: o.alone, dir: dir}
	rep := report{at: time.Now(), args: o.args, machine: describeMachine(ctx, o.agent)}
	rep.machine.peers = field.versions(ctx)
	fmt.Fprint(stdout, rep.machine)
	var failed []error
	for _, c := range asked {
		fmt.Fprintf(stdout, "\n%s: %s\n", c.name, c.title)
		res, err := field.hold(ctx, c, o.scale, o.rounds, stdout)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		rep.results = append(rep.results, res)
		for _, f := range res.failed {
			failed = append(failed, fmt.Errorf("%s: %s", c.name, f))
		}
		rep.took = time.Since(rep.at)
		fmt.Fprint(stdout, res.table())
		for _, v := range res.verdicts() {
			fmt.Fprintf(stdout, "%s: %s (%s)\n", v.goal, v.seen, strings.Trim(v.state, "*"))
		}
		if o.out != "" {
			if err := rep.write(o.out); err != nil {
				return err
			}
		}
	}
	return errors.Join(failed...)
}
