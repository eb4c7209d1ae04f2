package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"agent/bench/limit"
	"agent/bench/sink"
)

// children are the parts that run as processes of their own, so that what they
// cost is told apart. They are this program again, with a first argument that
// no help mentions.
var children = map[string]func(ctx context.Context, args []string, stdout, stderr io.Writer) error{
	"sink":  serveSink,
	"limit": runLimit,
}

// self is this program with other arguments.
func self(args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return exec.Command(path, args...) //nolint:gosec,noctx // ourselves; who starts it ends it
}

// place is where a sink serves.
type place struct {
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	CA    string `json:"ca"`
}

// serveSink serves until stdin ends: a parent that dies takes it along. Where
// it serves is its only line of output.
func serveSink(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("bench sink", flag.ContinueOnError)
	f.SetOutput(stderr)
	ca := f.String("ca", "sink-ca.pem", "write the certificate to trust to `FILE`")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := sink.Start(*ca)
	if err != nil {
		return err
	}
	p := place{CA: *ca}
	p.HTTP, p.HTTPS = s.URL()
	if err := json.NewEncoder(stdout).Encode(p); err != nil {
		return errors.Join(err, s.Close())
	}
	ended := make(chan struct{})
	go func() { // until stdin ends, or with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return s.Close()
}

// runLimit uploads a directory by what package limit offers.
func runLimit(ctx context.Context, args []string, _, stderr io.Writer) error {
	var o limit.Options
	f := flag.NewFlagSet("bench limit", flag.ContinueOnError)
	f.SetOutput(stderr)
	kind := f.String("kind", "raw", "`raw` PUT or the sdk")
	f.StringVar(&o.Endpoint, "endpoint", "", "`URL` of the server")
	f.StringVar(&o.CAFile, "ca", "", "`FILE` to trust")
	f.IntVar(&o.Parallel, "parallel", 4, "requests at once")
	f.Int64Var(&o.PartSize, "part-size", 16*mib, "`bytes` of a piece")
	if err := f.Parse(args); err != nil {
		return err
	}
	o.Dir = f.Arg(0)
	switch *kind {
	case "raw":
		return limit.Raw(ctx, o)
	case "sdk":
		return limit.SDK(ctx, o)
	}
	return fmt.Errorf("no limit %q", *kind)
}

// sinkProcess is a sink in a process of its own.
type sinkProcess struct {
	place
	cmd   *exec.Cmd
	stdin io.Closer
}

// startSink starts a sink on the server's CPU, with its certificate in dir.
func startSink(ctx context.Context, dir string) (*sinkProcess, error) {
	s := &sinkProcess{cmd: self("sink", "-ca", filepath.Join(dir, "sink-ca.pem"))}
	s.cmd.Stderr = os.Stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(s.cmd, serverCPU()); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(stdout).Decode(&s.place); err != nil {
		s.stop()
		return nil, fmt.Errorf("the sink does not start: %w", err)
	}
	if _, err := s.counts(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *sinkProcess) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // it has nothing to tell
}

func (s *sinkProcess) counts(ctx context.Context) (c sink.Counts, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+sink.CountsPath, nil)
	if err != nil {
		return c, err
	}
	return s.ask(req)
}

func (s *sinkProcess) ask(req *http.Request) (c sink.Counts, err error) {
	req.Close = true // it should not be among the connections of a run
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return c, err
	}
	defer res.Body.Close()
	return c, json.NewDecoder(res.Body).Decode(&c)
}
