package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"agent/bench/shaped"
	"agent/bench/sink"
)

// linking is the contest with a link: how much of one of known rate and delay is
// used, and how soon. The bytes are those of files, without headers and TLS.
type linking struct {
	agent   string
	shape   shaped.Options
	seconds float64 // that the data takes at the rate of the link
	small   int     // how many small files
	only    string
	raw     int // connections of the raw PUT
	dir     string
}

// linkLoads are what is sent: files of the data's size, or small ones.
var linkLoads = []struct {
	name  string
	files int
	raw   bool // by raw PUT, for comparison
}{
	{name: "large", files: 1},
	{name: "several", files: 16},
	{name: "raw", files: 16, raw: true},
	{name: "small"},
	{name: "raw-small", raw: true},
}

const smallFile = 4096 // bytes

// benchLink is 'bench link'.
func benchLink(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var l linking
	f := flag.NewFlagSet("bench link", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&l.agent, "agent", "bin/agent", "`path` of the agent")
	f.Float64Var(&l.shape.Mbit, "mbit", 1000, "rate of the link, in 10⁶ bits a second")
	f.DurationVar(&l.shape.RTT, "rtt", 50*time.Millisecond, "its round trip")
	f.IntVar(&l.shape.MTU, "mtu", 9000, "`bytes` of its packets")
	f.StringVar(&l.shape.Control, "control", "", "congestion control, one of those that this machine `allows` (default: the machine's)")
	f.Float64Var(&l.seconds, "seconds", 40, "send as much as the link takes in so many seconds")
	f.IntVar(&l.small, "small", 20_000, "how many files of 4 KiB")
	f.IntVar(&l.raw, "raw", 16, "connections of the raw PUT; for small files eight times as many")
	f.StringVar(&l.only, "only", "", "send only these `loads`: large,several,raw,small,raw-small")
	dir := f.String("dir", "", "make the files below `DIR` (default: the system's temporary folder)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || !(l.shape.Mbit > 0) || !(l.seconds > 0) || l.small < 1 {
		return errors.New("-mbit, -seconds and -small must be positive, and nothing follows")
	}
	if l.agent, err = filepath.Abs(l.agent); err != nil {
		return err
	}
	if _, err := os.Stat(l.agent); err != nil {
		return fmt.Errorf("%w: 'make build' makes it", err)
	}
	if l.dir, err = os.MkdirTemp(*dir, "agent-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir)) }()
	return l.hold(ctx, stdout)
}

// hold sends every load, and reports.
func (l *linking) hold(ctx context.Context, stdout io.Writer) error {
	control := []byte(l.shape.Control)
	if len(control) == 0 {
		control, _ = os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control") // unknown, then
	}
	fmt.Fprintf(stdout, "%s\nlink: %g Mbit/s, round trip %v, packets of %d bytes, %s\n\n",
		describeMachine(ctx, l.agent), l.shape.Mbit, l.shape.RTT, l.shape.MTU, bytes.TrimSpace(control))
	var rows []string
	for _, load := range linkLoads {
		if l.only != "" && !slices.Contains(strings.Split(l.only, ","), load.name) {
			continue
		}
		dir := filepath.Join(l.dir, load.name)
		if err := l.write(dir, load.files); err != nil {
			return err
		}
		use, err := l.send(ctx, dir, load.files == 0, load.raw, stdout)
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		rows = append(rows, use.row(load.name, l.shape.Mbit))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "\n| load | MB | wall s | Mbit/s of data | of the link | and with headers | at 90 %% after s | longest part s | at once, mean | RssAnon MiB | CPU s |\n|---|---|---|---|---|---|---|---|---|---|---|\n%s", strings.Join(rows, ""))
	return nil
}

// write makes sparse files, which cost no disk, or small ones.
func (l *linking) write(dir string, files int) error {
	if files == 0 {
		return same(l.small, smallFile).write(dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	size := int64(l.shape.Mbit * 1e6 / 8 * l.seconds / float64(files))
	for i := range files {
		path := filepath.Join(dir, fmt.Sprintf("%02d.tif", i))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(path, size); err != nil {
			return err
		}
	}
	return nil
}

// usage is how a link was used.
type usage struct {
	sink.Counts
	wall  time.Duration // of the program, from its start to its end
	high  time.Duration // from its start until the link was used by nine tenths; 0: never
	cpu   time.Duration
	most  int64 // bytes of RssAnon
	taken int64 // bytes that the link took, headers and all
	lanes []string
}

func (u *usage) row(name string, mbit float64) string {
	rate := float64(u.Bytes) * 8 / 1e6 / u.wall.Seconds()
	taken := float64(u.taken) * 8 / 1e6 / u.wall.Seconds()
	high := "–"
	if u.high > 0 {
		high = fmt.Sprintf("%.1f", u.high.Seconds())
	}
	return fmt.Sprintf("| %s | %.1f | %.1f | %.1f | %.1f %% | %.1f %% | %s | %.1f | %.1f | %.1f | %.2f |\n", name, float64(u.Bytes)/1e6, u.wall.Seconds(), rate, 100*rate/mbit, 100*taken/mbit,
		high, u.Longest.Seconds(), u.Busy.Seconds()/u.wall.Seconds(), float64(u.most)/mib, u.cpu.Seconds())
}

// send makes a link and sends dir over it.
func (l *linking) send(ctx context.Context, dir string, small, raw bool, stdout io.Writer) (u usage, err error) {
	way, err := shaped.New(ctx, l.shape)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, way.Close()) }()
	state, err := os.MkdirTemp(l.dir, "state-")
	if err != nil {
		return u, err
	}
	defer func() { _ = os.RemoveAll(state) }() // removed again with all the rest
	server, err := l.serve(ctx, way, state)
	if err != nil {
		return u, err
	}
	path, err := os.Executable()
	if err != nil {
		return u, err
	}
	connections := l.raw
	if small {
		connections *= 8
	}
	log := filepath.Join(state, "log")
	cmd := way.Client(ctx, l.agent, "upload", "--quiet", "--state-dir", state, "--log-file", log, dir, "s3://bench/link/")
	if raw {
		cmd = way.Client(ctx, path, "limit", "-parallel", strconv.Itoa(connections), "-part-size", strconv.Itoa(16*mib), "-endpoint", server.serves.HTTPS, "-ca", server.serves.CA, dir)
	}
	cmd.Env = turn{field: &field{dir: l.dir}, place: server.place()}.environment()
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	if err := u.watch(cmd, way, l.shape.Mbit); err != nil {
		return u, errors.Join(err, server.end(&u.Counts))
	}
	if u.taken, err = way.Passed(ctx); err != nil {
		return u, errors.Join(err, server.end(&u.Counts))
	}
	if err := server.end(&u.Counts); err != nil {
		return u, err
	}
	u.lanes = lanesIn(log)
	fmt.Fprintf(stdout, "%s: %.1f MB in %.1f s; lanes: %s\n", filepath.Base(dir), float64(u.Bytes)/1e6, u.wall.Seconds(), strings.Join(u.lanes, ", "))
	return u, nil
}

// watch runs cmd and looks at the link meanwhile.
func (u *usage) watch(cmd *exec.Cmd, way *shaped.Link, mbit float64) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began, before := time.Now(), way.Sent()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	const every = 500 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for sent, at := before, began; ; {
		select {
		case err := <-ended:
			u.wall = time.Since(began)
			u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			if err != nil {
				return fmt.Errorf("%w\n%s", err, out.Bytes())
			}
			return nil
		case now := <-tick.C:
			n := way.Sent()
			rate := float64(n-sent) * 8 / 1e6 / now.Sub(at).Seconds()
			if u.high == 0 && rate >= 0.9*mbit {
				u.high = now.Sub(began)
			}
			sent, at = n, now
			if m, ok := rssAnon(cmd.Process.Pid); ok {
				u.most = max(u.most, m)
			}
		}
	}
}

// lanesIn are the numbers of lanes that a log tells of, with their times.
func lanesIn(log string) []string {
	b, err := os.ReadFile(log)
	if err != nil {
		return nil // of a program without a log
	}
	var all []string
	var began time.Time
	for line := range strings.Lines(string(b)) {
		at, rest, _ := strings.Cut(line, " ")
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			continue
		}
		if began.IsZero() {
			began = when
		}
		if n, ok := strings.CutPrefix(rest, "info lanes now="); ok {
			n, _, _ = strings.Cut(n, " ")
			all = append(all, fmt.Sprintf("%s after %.1f s", n, when.Sub(began).Seconds()))
		}
	}
	return all
}

// farSink is a sink at the other end of a link.
type farSink struct {
	sinkProcess
	out *json.Decoder
}

func (l *linking) serve(ctx context.Context, way *shaped.Link, dir string) (*farSink, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &farSink{}
	s.cmd = way.Server(ctx, path, "sink", "-host", shaped.ServerIP, "-ca", filepath.Join(dir, "sink-ca.pem"))
	s.cmd.Stderr = os.Stderr
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(stdout)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.out.Decode(&s.serves); err != nil {
		return nil, errors.Join(fmt.Errorf("the sink does not start: %w", err), s.end(nil))
	}
	return s, nil
}

// end ends the sink, and tells what came in.
func (s *farSink) end(c *sink.Counts) error {
	_ = s.stdin.Close()
	var err error
	if c != nil {
		err = s.out.Decode(c)
	}
	return errors.Join(err, s.cmd.Wait())
}
