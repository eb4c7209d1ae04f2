// Command demo shows in under a minute what the agent is for: it uploads a small
// dataset to a local platform whose tokens live seconds, is killed on the way,
// goes on, and every object is compared with its file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"agent/bench/platform"
)

const (
	tokenLife = "5s"
	rate      = "11MB"           // a second: the upload takes so long that tokens die on the way
	killAt    = 0.4              // of the bytes, by what the server has acknowledged
	patience  = 55 * time.Second // for everything
)

func main() {
	agent := flag.String("agent", "bin/agent", "`path` of the agent")
	sandbox := flag.String("sandbox", "bin/sandbox", "`path` of the local platform")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *agent, *sandbox, os.Stdout); err != nil {
		stop()
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// demo is a dataset, a platform and an agent.
type demo struct {
	out     io.Writer
	agent   string
	dir     string // of everything
	data    string // the dataset
	sb      *platform.Sandbox
	env     []string // of the agent
	dataset dataset
	began   time.Time
}

func run(ctx context.Context, agent, sandbox string, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := demo{out: out, began: time.Now()}
	if d.agent, err = filepath.Abs(agent); err != nil {
		return err
	}
	if sandbox, err = filepath.Abs(sandbox); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "agent-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	d.data = filepath.Join(d.dir, "dataset")
	if d.dataset, err = makeDataset(d.data); err != nil {
		return err
	}
	d.say("dataset     %d files, %s: a COG, a NetCDF file, a Zarr store, STAC items", d.dataset.files, mb(d.dataset.bytes))
	d.sb, err = platform.Start(ctx, sandbox, filepath.Join(d.dir, "platform"),
		"-role", "platform", "-token-life", tokenLife, "-rate", rate)
	if err != nil {
		return err
	}
	defer func() { _ = d.sb.Kill() }() // whatever happened, nothing is left running
	if err := d.environment(); err != nil {
		return err
	}
	d.say("platform    local; its tokens live %s, it takes %s/s", tokenLife, rate)
	return d.play(ctx)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// environment is that of a user who has a config file and nothing else.
func (d *demo) environment() error {
	config, err := d.sb.ProcessConfig(d.dir)
	if err != nil {
		return err
	}
	d.env = []string{
		"HOME=" + d.dir, "PATH=" + os.Getenv("PATH"), "SystemRoot=" + os.Getenv("SystemRoot"),
		"AWS_CONFIG_FILE=" + config, "AWS_ENDPOINT_URL=" + d.sb.Endpoint(), "AWS_REGION=" + d.sb.Env["AWS_REGION"],
		"AWS_EC2_METADATA_DISABLED=true",
	}
	return nil
}

// play uploads, kills, goes on and checks.
func (d *demo) play(ctx context.Context) error {
	d.say("$ agent upload --part-size 5MiB --parallel 4 ./dataset %s/demo", d.sb.Workspace())
	killed, err := d.uploadAndKill(ctx)
	if err != nil {
		return err
	}
	all, err := d.sb.Requests()
	if err != nil {
		return err
	}
	bytes, parts, objects := safe(all).sum()
	d.say("killed      by SIGKILL after %s, with %s, %d parts and %d small files acknowledged",
		seconds(killed.Sub(d.began)), mb(bytes), parts, objects)
	d.say("$ the same command again")
	again := time.Now()
	if out, err := d.command(ctx).CombinedOutput(); err != nil {
		return fmt.Errorf("the second run: %w\n%s", err, out)
	}
	d.say("finished    after another %s", seconds(time.Since(again)))
	if err := d.report(killed); err != nil {
		return err
	}
	n, err := d.verify(ctx)
	if err != nil {
		return err
	}
	d.say("verified    %d objects, byte for byte, with another client (minio-go)", n)
	d.say("well        in %s altogether", seconds(time.Since(d.began)))
	return nil
}

func (d *demo) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.agent, "upload", "--quiet", "--part-size", "5MiB", "--parallel", "4", //nolint:gosec // what was asked for
		"--state-dir", filepath.Join(d.dir, "state"), d.data, d.sb.Workspace()+"/demo")
	cmd.Env = d.env
	return cmd
}

// uploadAndKill begins the upload, kills it when enough is acknowledged, and
// tells when that was.
func (d *demo) uploadAndKill(ctx context.Context) (time.Time, error) {
	cmd := d.command(ctx)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return time.Time{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return time.Time{}, fmt.Errorf("the first run ended before it could be killed: %w", errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
		all, err := d.sb.Requests()
		if err != nil {
			return time.Time{}, errors.Join(err, cmd.Process.Kill(), <-ended)
		}
		if bytes, _, _ := safe(all).sum(); float64(bytes) < killAt*float64(d.dataset.bytes) {
			continue
		}
		at := time.Now()
		if err := cmd.Process.Kill(); err != nil {
			return at, err
		}
		<-ended //nolint:errcheck // says that it was killed
		return at, nil
	}
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
