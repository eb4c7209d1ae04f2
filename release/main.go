// Command release makes everything that is published of one commit: programs for
// six systems in archives and packages, what is in them, recipes for package
// managers, and the checksums of it all. The same commit gives the same bytes,
// wherever and whenever it is built.
//
// It knows the agent only as a program that is built, and publishes nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// program is the name of what is released.
const program = "agent"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one of them.
type release struct {
	root      string // of the sources
	out       string // where it goes
	work      string // what is in between, below out until it is done
	version   string // as --version says it
	number    string // the same as package managers want it
	commit    string
	when      time.Time // of the commit; the time of every file
	url       string    // where its files will be, without a final slash
	nfpm      string    // the programs that make packages and SBOMs
	cyclonedx string
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := &release{}
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	var epoch string
	f.StringVar(&r.out, "out", "dist", "where it goes; must be empty or of an earlier release")
	f.StringVar(&r.version, "version", "", "what --version says: a tag, or what 'git describe' says")
	f.StringVar(&r.commit, "commit", "", "hash of the commit")
	f.StringVar(&epoch, "epoch", "", "the commit's time, in seconds since 1970")
	f.StringVar(&r.url, "url", "", "where the files will be found")
	f.StringVar(&r.nfpm, "nfpm", "nfpm", "the program nfpm")
	f.StringVar(&r.cyclonedx, "cyclonedx", "cyclonedx-gomod", "the program cyclonedx-gomod")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if r.when, err = parseEpoch(epoch); err != nil {
		return fmt.Errorf("-epoch: %w", err)
	}
	if r.number, err = numberOf(r.version); err != nil {
		return err
	}
	if r.url = strings.TrimSuffix(r.url, "/"); !strings.Contains(r.url, "://") {
		return fmt.Errorf("-url: %q is no URL", r.url)
	}
	for _, path := range []*string{&r.out, &r.nfpm, &r.cyclonedx} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if r.root, err = os.Getwd(); err != nil {
		return err
	}
	if b, err := os.ReadFile("go.mod"); err != nil || !strings.HasPrefix(string(b), "module agent\n") {
		return errors.New("run it in the folder of the agent's go.mod")
	}
	return r.make(ctx)
}

func parseEpoch(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}

// numbered is a version that all package managers understand.
var numbered = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$`)

// numberOf is a version without its v. What 'git describe' says where there is no
// tag becomes a version before all others.
func numberOf(version string) (string, error) {
	if m := numbered.FindStringSubmatch(version); m != nil {
		return m[1], nil
	}
	if !regexp.MustCompile(`^[0-9a-z]+(-dirty)?$`).MatchString(version) {
		return "", fmt.Errorf("-version: %q is neither v1.2.3 nor a commit", version)
	}
	return "0.0.0-snapshot.g" + strings.ReplaceAll(version, "-", "."), nil
}

// make makes it in a folder beside out, which it replaces when all is there.
func (r *release) make(ctx context.Context) error {
	final := r.out
	if err := ours(final); err != nil {
		return err
	}
	r.out = final + ".new"
	r.work = filepath.Join(r.out, "work")
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.work, 0o755); err != nil { //nolint:gosec // to be published
		return err
	}
	for _, step := range []func(context.Context) error{
		r.writeTexts, r.writeNotices, r.buildAll, r.writeSBOMs, r.writeArchives, r.writePackages, r.writeInstaller, r.writeRecipes,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(r.work); err != nil {
		return err
	}
	if err := writeSums(r.out); err != nil {
		return err
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(r.out, final)
}

// ours refuses to replace a folder that has anything else in it.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, sumsName)); err != nil {
		return fmt.Errorf("%s is no earlier release: remove it yourself", dir)
	}
	return nil
}
