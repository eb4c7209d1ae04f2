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
	runners     []runner
}

// runner is one way to upload a directory.
type runner struct {
	name    string
	command func(f *field, dir, state string) *exec.Cmd
	byParts bool    // what it stores are parts, never completed to objects
	goal    float64 // the most that the first runner may cost of this one; 0: no goal
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
		runners: []runner{
			{name: "agent", command: agent()},
			{name: "raw PUT, 4 at once", command: limits("raw", 4), byParts: true, goal: 1.3},
			{name: "agent --memory 256MiB", command: agent("--memory", "256MiB")},
		},
	},
	{
		name: "small", title: "10,000 files of 4 KiB, https",
		load: load{files: 10_000, size: 4096}, perObject: true,
		runners: []runner{
			{name: "agent", command: agent()},
			{name: "bare SDK, 32 at once", command: limits("sdk", 32), goal: 1.1},
			{name: "raw PUT, 32 at once", command: limits("raw", 32)},
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

// agent uploads with the agent, with a journal of its own.
func agent(flags ...string) func(*field, string, string) *exec.Cmd {
	return func(f *field, dir, state string) *exec.Cmd {
		args := append([]string{"upload", "--quiet", "--state-dir", state}, flags...)
		cmd := exec.Command(f.agent, append(args, dir, "s3://bench/data/")...) //nolint:gosec,noctx // what is to be measured; measure ends it
		cmd.Env = f.environment()
		return cmd
	}
}

// limits uploads with one of package limit, as another process.
func limits(kind string, parallel int) func(*field, string, string) *exec.Cmd {
	return func(f *field, dir, _ string) *exec.Cmd {
		cmd := self("limit", "-kind", kind, "-parallel", strconv.Itoa(parallel), "-part-size", strconv.Itoa(16*mib),
			"-endpoint", f.server.HTTPS, "-ca", f.server.CA, dir)
		cmd.Env = f.environment()
		return cmd
	}
}

// environment is that of every client: a home without settings, and keys that
// the sink does not look at.
func (f *field) environment() []string {
	return []string{
		"HOME=" + filepath.Join(f.dir, "home"), "TMPDIR=" + f.dir, "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL=" + f.server.HTTPS, "AWS_CA_BUNDLE=" + f.server.CA, "AWS_REGION=eu-west-2",
		"AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench",
	}
}
