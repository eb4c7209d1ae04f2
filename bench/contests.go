package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
)

// contest is one workload, and all who upload it in turns. The first runner is
// the one whose ratio to each other is reported.
type contest struct {
	name, title string
	load        load
	perObject   bool // its CPU is told per object instead of per GB
	plain       bool // over http
	runners     []runner
}

// runner is one way to upload a directory.
type runner struct {
	name    string
	program string // that has to be on PATH; "" for what comes with the benchmark
	command func(t turn) (*exec.Cmd, error)
	byParts bool    // what it stores are parts, never completed to objects
	goal    float64 // the most that the first runner may cost of this one; 0: no goal
}

// turn is one run of one runner.
type turn struct {
	*field
	endpoint string // URL of the server
	dir      string // what is to be uploaded
	state    string // an empty folder for whatever is remembered
	prefix   string // of the keys; another one each time, so that nothing is there
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

// contests is everything that is measured. A figure that is to be watched is
// one more runner, a shape of data one more contest.
var contests = []contest{
	{
		name: "large", title: "4 files of 1 GiB, https",
		load: load{files: 4, size: gib, scaleSize: true},
		runners: append([]runner{
			{name: "agent", command: agent()},
			{name: "raw PUT, 4 at once", command: limits("raw", 4), byParts: true, goal: 1.08},
			{name: "agent --memory 256MiB", command: agent("--memory", "256MiB")},
		}, peers...),
	},
	{
		name: "large-http", title: "4 files of 1 GiB, http", plain: true,
		load: load{files: 4, size: gib, scaleSize: true},
		runners: append([]runner{
			{name: "agent", command: agent()},
			{name: "raw PUT, 4 at once", command: limits("raw", 4), byParts: true, goal: 1.5},
		}, peers...),
	},
	{
		name: "small", title: "10,000 files of 10 KiB, https",
		load: load{files: 10_000, size: 10 << 10}, perObject: true,
		runners: append([]runner{
			{name: "agent", command: agent()},
			{name: "raw PUT, 32 at once", command: limits("raw", 32), goal: 1.6},
			{name: "bare SDK, 32 at once", command: limits("sdk", 32)},
		}, peers...),
	},
	{
		name: "small-http", title: "10,000 files of 10 KiB, http", plain: true,
		load: load{files: 10_000, size: 10 << 10}, perObject: true,
		runners: append([]runner{
			{name: "agent", command: agent()},
			{name: "raw PUT, 32 at once", command: limits("raw", 32)},
		}, peers...),
	},
	{
		name: "tiny", title: "10,000 files of 4 KiB, https",
		load: load{files: 10_000, size: 4096}, perObject: true,
		runners: []runner{
			{name: "agent", command: agent()},
			{name: "raw PUT, 32 at once", command: limits("raw", 32)},
			{name: "bare SDK, 32 at once", command: limits("sdk", 32)},
		},
	},
}

func contestNames() []string {
	var names []string
	for _, c := range contests {
		names = append(names, c.name)
	}
	return names
}

// present are the runners of c whose programs are there.
func (c contest) present() (there []runner, missing []string) {
	for _, r := range c.runners {
		if r.program != "" {
			if _, err := exec.LookPath(r.program); err != nil {
				missing = append(missing, r.name)
				continue
			}
		}
		there = append(there, r)
	}
	return there, missing
}

// agent uploads with the agent, with a journal of its own.
func agent(flags ...string) func(turn) (*exec.Cmd, error) {
	return func(t turn) (*exec.Cmd, error) {
		args := append([]string{"upload", "--quiet", "--state-dir", t.state}, flags...)
		return t.program(t.agent, append(args, t.dir, "s3://bench/"+t.prefix+"/")...), nil
	}
}

// limits uploads with one of package limit, as another process.
func limits(kind string, parallel int) func(turn) (*exec.Cmd, error) {
	return func(t turn) (*exec.Cmd, error) {
		cmd := self("limit", "-kind", kind, "-parallel", strconv.Itoa(parallel), "-part-size", strconv.Itoa(16*mib),
			"-endpoint", t.endpoint, "-ca", t.server.CA, t.dir)
		cmd.Env = t.environment()
		return cmd, nil
	}
}

// program is a client with the environment that all have.
func (t turn) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // what is to be measured; measure ends it
	cmd.Env = t.environment()
	return cmd
}

// environment is that of every client: a home without settings, and keys that
// the sink does not look at.
func (t turn) environment() []string {
	return []string{
		"HOME=" + filepath.Join(t.field.dir, "home"), "TMPDIR=" + t.field.dir, "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL=" + t.endpoint, "AWS_CA_BUNDLE=" + t.server.CA, "AWS_REGION=eu-west-2",
		"AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench",
	}
}
