package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// runner is one way to upload a directory.
type runner struct {
	name    string
	role    role
	program string // that has to be there; "" for what comes with the benchmark
	command func(t turn) (*exec.Cmd, error)
	byParts bool   // what it stores are parts, never completed to objects
	flag    string // of the agent, without which there is nothing to run
	anon    int    // MiB of RssAnon that it may have at the most; 0: no matter
}

// role is what a runner is in a contest for.
type role string

const (
	tool      role = ""          // the agent
	floor     role = "limit"     // what the bytes cost at least
	yardstick role = "yardstick" // neither a limit nor a client that anybody uses
	peer      role = "peer"      // somebody else's client for directories
	byHand    role = "by hand"   // a program that is told each file
)

// other tells whether it is somebody else's program.
func (r runner) other() bool { return r.role == peer || r.role == byHand }

// turn is one run of one runner.
type turn struct {
	*field
	place
	dir    string // what is to be uploaded
	state  string // an empty folder for whatever is remembered
	prefix string // of the keys
}

var (
	ours = agent(64)
	// What the budget is, and 16 MiB for all the rest.
	roomy        = agent(256+16, "--memory", "256MiB")
	unjournalled = runner{name: "agent --no-journal", role: yardstick, command: agent(0, "--no-journal").command, flag: "--no-journal"}
	sdk          = runner{name: "bare SDK, 32 at once", role: yardstick, command: limits("sdk", 32)}
)

// agent uploads with the agent, with a journal of its own, in so many MiB.
func agent(anon int, flags ...string) runner {
	r := runner{name: strings.Join(append([]string{"agent"}, flags...), " "), anon: anon}
	if len(flags) > 0 {
		r.role = yardstick
	}
	r.command = func(t turn) (*exec.Cmd, error) {
		args := append([]string{"upload", "--quiet", "--state-dir", t.state}, flags...)
		return t.program(t.agent, append(args, t.dir, "s3://"+t.bucket+"/"+t.prefix+"/")...), nil
	}
	return r
}

// raw is the limit: bare PUT requests.
func raw(parallel int) runner {
	return runner{name: fmt.Sprintf("raw PUT, %d at once", parallel), role: floor, command: limits("raw", parallel), byParts: true}
}

// limits uploads with one of package limit, as another process.
func limits(kind string, parallel int) func(turn) (*exec.Cmd, error) {
	return func(t turn) (*exec.Cmd, error) {
		cmd := self("limit", "-kind", kind, "-parallel", strconv.Itoa(parallel), "-part-size", strconv.Itoa(16*mib),
			"-endpoint", t.endpoint, "-ca", t.ca, t.dir)
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

// peer is a client by its name.
func (t turn) peer(name string, args ...string) *exec.Cmd {
	path, err := t.find(name)
	if err != nil {
		path = name // it was there when the contest began
	}
	return t.program(path, args...)
}

// environment is that of every client: a home without settings, and where and
// with which keys the server is reached.
func (t turn) environment() []string {
	env := []string{
		"HOME=" + filepath.Join(t.field.dir, "home"), "TMPDIR=" + t.field.dir, "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL=" + t.endpoint, "AWS_REGION=" + t.region, "AWS_DEFAULT_REGION=" + t.region,
		"AWS_ACCESS_KEY_ID=" + t.access, "AWS_SECRET_ACCESS_KEY=" + t.secret,
	}
	if t.ca != "" {
		env = append(env, "AWS_CA_BUNDLE="+t.ca)
	}
	return env
}

// find is where a peer is: below the folder of those that were built for the
// benchmark, or on PATH. What only starts the program, as the shims of version
// managers do with a shell, is passed by: its CPU is not the peer's.
func (f *field) find(program string) (string, error) {
	for _, dir := range append([]string{f.peers}, filepath.SplitList(os.Getenv("PATH"))...) {
		if dir == "" || filepath.Base(dir) == "shims" {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
}

// present are the runners of c that can take part.
func (f *field) present(ctx context.Context, c contest) (there []runner, missing []string) {
	for _, r := range c.runners {
		switch {
		case r.other() && f.alone:
			continue
		case r.program != "":
			if _, err := f.find(r.program); err != nil {
				missing = append(missing, r.name)
				continue
			}
		case r.flag != "" && !f.knows(ctx, r.flag):
			missing = append(missing, r.name)
			continue
		}
		there = append(there, r)
	}
	return there, missing
}

// knows tells whether the agent has a flag, which its help need not mention.
func (f *field) knows(ctx context.Context, flag string) bool {
	return exec.CommandContext(ctx, f.agent, "upload", flag, "--help").Run() == nil //nolint:gosec // what is to be measured
}

// versions asks the peers what they are.
func (f *field) versions(ctx context.Context) (all []string) {
	asked := map[string]bool{}
	for _, r := range peers {
		path, err := f.find(r.program)
		if err != nil || asked[r.program] || f.alone {
			continue
		}
		asked[r.program] = true
		all = append(all, f.version(ctx, r.program, path))
	}
	return all
}

// version is a program's own word for what it is, or what Go put into it: those
// that are built from the module proxy don't know their release.
func (f *field) version(ctx context.Context, name, path string) string {
	if info, err := buildinfo.ReadFile(path); err == nil && info.Main.Version != "" {
		return name + " " + info.Main.Version + " (" + info.GoVersion + ")"
	}
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{"HOME=" + filepath.Join(f.dir, "home"), "LC_ALL=C.UTF-8"}
	out, err := cmd.Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	line, _, _ = strings.Cut(line, " (") // curl goes on with all its libraries
	if err != nil || line == "" {
		return name + ", of no version"
	}
	return line
}
