package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"

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

// sinkPlace is where a sink serves.
type sinkPlace struct {
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	CA    string `json:"ca"`
}

// serveSink serves until stdin ends: a parent that dies takes it along. Its first
// line of output is where it serves, and its last what has come in.
func serveSink(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("bench sink", flag.ContinueOnError)
	f.SetOutput(stderr)
	ca := f.String("ca", "sink-ca.pem", "write the certificate to trust to `FILE`")
	host := f.String("host", "127.0.0.1", "serve on this `ADDRESS`")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := sink.StartAt(*host, *ca)
	if err != nil {
		return err
	}
	p := sinkPlace{CA: *ca}
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
	err = json.NewEncoder(stdout).Encode(s.Counts())
	return errors.Join(err, s.Close())
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
