package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"agent/bench/platform"
)

// syncing is the contest of those who find that nothing has changed: files that
// the agent has stored, their times with them, compared by the agent and by
// others with the same server. The files are in the page cache: they were just sent.
type syncing struct {
	agent, sandbox string
	peers          string // folder where other clients may be, besides PATH
	files, rounds  int
	dir            string // of everything that is written
	tree           string // what was stored
	server         *platform.Sandbox
}

// syncRunner is one way to compare. The command gets tree and s3://… and a
// folder for what it remembers.
type syncRunner struct {
	name    string
	program string // of PATH; "" for the agent
	args    func(tree, bucket, prefix, state string) []string
	forgets bool // begins without what it remembers
}

// rclone asks for the time of each object by a HEAD, unless it is told to take
// the store's time for it.
var syncRunners = []syncRunner{
	{name: "agent sync", args: agentSync},
	{name: "agent sync, without its journal", args: agentSync, forgets: true},
	{name: "rclone sync", program: "rclone", args: rcloneSync()},
	{name: "rclone sync --fast-list --checkers 32", program: "rclone", args: rcloneSync("--fast-list", "--checkers", "32")},
	{name: "rclone sync --fast-list --update --use-server-modtime", program: "rclone", args: rcloneSync("--fast-list", "--update", "--use-server-modtime")},
	{name: "s5cmd sync", program: "s5cmd", args: func(tree, bucket, prefix, _ string) []string {
		return []string{"--log", "error", "sync", tree + "/", "s3://" + bucket + "/" + prefix + "/"}
	}},
}

func agentSync(tree, bucket, prefix, state string) []string {
	return []string{"sync", "--quiet", "--state-dir", state, tree, "s3://" + bucket + "/" + prefix}
}

func rcloneSync(flags ...string) func(tree, bucket, prefix, state string) []string {
	return func(tree, bucket, prefix, _ string) []string {
		return append([]string{"sync", "--config", "", "--quiet", tree, ":s3,provider=Other,env_auth:" + bucket + "/" + prefix}, flags...)
	}
}

// benchSync is 'bench sync'.
func benchSync(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var s syncing
	f := flag.NewFlagSet("bench sync", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.agent, "agent", "bin/agent", "`path` of the agent")
	f.StringVar(&s.sandbox, "sandbox", "bin/sandbox", "`path` of the sandbox")
	f.StringVar(&s.peers, "peers", "bin/peers", "look for other clients in `DIR`, before PATH")
	f.IntVar(&s.files, "files", 100_000, "how many files")
	f.IntVar(&s.rounds, "rounds", 3, "how often each compares")
	dir := f.String("dir", "", "make the files below `DIR` (default: the system's temporary folder)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.files < 1 || s.rounds < 1 || f.NArg() > 0 {
		return errors.New("-files and -rounds must be positive, and nothing follows")
	}
	for _, path := range []*string{&s.agent, &s.sandbox} {
		if *path, err = filepath.Abs(*path); err == nil {
			_, err = os.Stat(*path)
		}
		if err != nil {
			return fmt.Errorf("%w: 'make build' makes it", err)
		}
	}
	if s.dir, err = os.MkdirTemp(*dir, "agent-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	return s.hold(ctx, stdout)
}

// hold stores the files, and has all compare them in turns.
func (s *syncing) hold(ctx context.Context, stdout io.Writer) (err error) {
	s.tree = filepath.Join(s.dir, "tree")
	if err := same(s.files, 100).write(s.tree); err != nil {
		return err
	}
	if err := age(s.tree); err != nil {
		return err
	}
	if s.server, err = platform.Start(ctx, s.sandbox, filepath.Join(s.dir, "sandbox"), "-role", "full"); err != nil {
		return err
	}
	defer func() { _ = s.server.Kill() }()
	fmt.Fprintf(stdout, "%s\n%d files of 100 bytes\n", describeMachine(ctx, s.agent), s.files)
	first, did, err := s.run(ctx, syncRunners[0])
	if err != nil {
		return err
	}
	if did["PutObject"] != s.files {
		return fmt.Errorf("%d files of %d were stored", did["PutObject"], s.files)
	}
	fmt.Fprintf(stdout, "stored in %.1f s\n", first.wall.Seconds())
	var seen []*syncResult
	for _, r := range syncRunners {
		if _, err := s.find(r.program); err != nil {
			fmt.Fprintf(stdout, "%s is not to be had here and does not take part\n", r.name)
			continue
		}
		seen = append(seen, &syncResult{runner: r})
	}
	for round := range s.rounds {
		for i := range seen {
			// Nobody is always the one behind the heaviest.
			if err := s.add(ctx, seen[(i+round)%len(seen)], round, stdout); err != nil {
				return err
			}
		}
	}
	fmt.Fprint(stdout, "\n| | wall s | min–max | CPU s | min–max | requests |\n|---|---|---|---|---|---|\n")
	for _, r := range seen {
		w, c := spreadOf(r.walls), spreadOf(r.cpus)
		fmt.Fprintf(stdout, "| %s | %.2f | %.2f–%.2f | %.2f | %.2f–%.2f | %s |\n", r.runner.name, w.median, w.min, w.max, c.median, c.min, c.max, r.requests)
	}
	return nil
}

// find is where a program is; "" is the agent.
func (s *syncing) find(program string) (string, error) {
	if program == "" {
		return s.agent, nil
	}
	return (&field{peers: s.peers}).find(program)
}

// age makes all files an hour old: stores tell their time by the second, and a
// file that may be newer than its object is looked at more closely.
func age(dir string) error {
	old := time.Now().Add(-time.Hour)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, old, old) //nolint:gosec // a folder of our own making
	})
}

// syncResult is what one runner took, in seconds, round by round.
type syncResult struct {
	runner      syncRunner
	walls, cpus []float64
	requests    string // of the last round
}

// add has a runner compare once more.
func (s *syncing) add(ctx context.Context, to *syncResult, round int, stdout io.Writer) error {
	m, did, err := s.run(ctx, to.runner)
	if err != nil {
		return err
	}
	if did["PutObject"]+did["CopyObject"]+did["CreateMultipartUpload"] > 0 {
		return fmt.Errorf("%s: nothing had changed, and it wrote: %v", to.runner.name, did)
	}
	to.walls, to.cpus, to.requests = append(to.walls, m.wall.Seconds()), append(to.cpus, m.cpu().Seconds()), counted(did)
	fmt.Fprintf(stdout, "round %d  %-55s wall %7.2f s  CPU %6.2f s  %s\n", round+1, to.runner.name, m.wall.Seconds(), m.cpu().Seconds(), to.requests)
	return nil
}

// counted tells requests by their kind.
func counted(did map[string]int) string {
	var all []string
	for _, op := range slices.Sorted(maps.Keys(did)) {
		all = append(all, fmt.Sprintf("%d %s", did[op], op))
	}
	return strings.Join(all, ", ")
}

// run has r compare, and tells what it took and which requests it made.
func (s *syncing) run(ctx context.Context, r syncRunner) (m sample, did map[string]int, err error) {
	token, err := s.server.Token(ctx)
	if err != nil {
		return m, nil, err
	}
	before, err := s.server.Requests()
	if err != nil {
		return m, nil, err
	}
	state := filepath.Join(s.dir, "state")
	if r.forgets {
		if state, err = os.MkdirTemp(s.dir, "state-"); err != nil {
			return m, nil, err
		}
	}
	program, err := s.find(r.program)
	if err != nil {
		return m, nil, err
	}
	cmd := exec.CommandContext(ctx, program, r.args(s.tree, s.server.Bucket(), s.server.Workspace()+"/sync", state)...) //nolint:gosec // what is to be measured
	cmd.Env = append(slices.Clone(token), "PATH="+os.Getenv("PATH"), "HOME="+filepath.Join(s.dir, "home"), "TMPDIR="+s.dir, "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL="+s.server.Endpoint(), "S3_ENDPOINT_URL="+s.server.Endpoint(), "RCLONE_S3_ENDPOINT="+s.server.Endpoint(),
		"AWS_REGION="+s.server.Env["AWS_REGION"], "RCLONE_S3_REGION="+s.server.Env["AWS_REGION"])
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return m, nil, fmt.Errorf("%s: %w\n%s", r.name, err, out.Bytes())
	}
	m = sample{wall: time.Since(began), user: cmd.ProcessState.UserTime(), sys: cmd.ProcessState.SystemTime()}
	all, err := s.server.Requests()
	if err != nil {
		return m, nil, err
	}
	did = map[string]int{}
	for _, q := range all[len(before):] {
		did[q.Op]++
	}
	return m, did, nil
}
