package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"agent/cmd/internal/show"
	"agent/creds"
	"agent/journal"
	"agent/transfer"
)

// find looks for everything. An error is a reason to remove nothing at all.
func (u *uninstall) find(ctx context.Context) error {
	jobs, err := u.all(ctx)
	if err != nil {
		return err
	}
	if err := u.mayGo(jobs); err != nil {
		return err
	}
	u.findSchedules(ctx)
	u.findKeys()
	u.findFiles("cache", "what completion remembers", regexp.MustCompile(`^complete-[0-9a-f]+(\.\d+)?$`))
	if u.o.state {
		u.findState(jobs)
	} else if len(jobs) > 0 {
		u.left = append(u.left, fmt.Sprintf("%s and what is known of them, %s in %s: --state removes it", jobCount(len(jobs)), show.Bytes(sizeOnDisk(u.state)), u.state))
	}
	u.findOpen(jobs)
	u.findConfig()
	u.findCompletions()
	return u.findBinary(ctx)
}

// mayGo refuses to take the state away from runs.
func (u *uninstall) mayGo(jobs []*jobView) error {
	var running []string
	for _, v := range jobs {
		if !v.busy {
			continue
		}
		text := "job " + v.id
		if v.holder != nil {
			text += fmt.Sprintf(" (process %d on %s)", v.holder.PID, v.holder.Host)
		}
		running = append(running, text)
	}
	switch {
	case len(running) == 0:
	case u.o.state:
		return &heldError{running: running, name: u.name}
	default:
		u.left = append(u.left, "still running: "+strings.Join(running, "; ")+"; without a login it may have to wait for a token")
	}
	return nil
}

func (u *uninstall) findSchedules(ctx context.Context) {
	for _, k := range u.keepers() {
		all, err := k.list(ctx)
		if err != nil && !isMissing(err) {
			u.failed = append(u.failed, fmt.Errorf("could not look for schedules: %w", err))
		}
		for _, sc := range all {
			u.traces = append(u.traces, trace{fmt.Sprintf("schedule %s (%s)", sc.name, sc.kind), func(ctx context.Context) error {
				if sd, ok := k.(systemd); ok && !sd.user && os.Geteuid() != 0 {
					return &rootError{u.name + " schedule remove " + sc.name}
				}
				if _, err := k.remove(ctx, sc.name); err != nil {
					return err
				}
				return gone(os.Remove(filepath.Join(u.schedules(), sc.name+".json")))
			}})
		}
	}
}

// findKeys finds logins and pasted tokens.
func (u *uninstall) findKeys() {
	logins, pasted := filepath.Join(u.state, "logins"), filepath.Join(u.state, "creds")
	for _, dir := range []string{logins, pasted} {
		what := "pasted token "
		if dir == logins {
			what = "login "
		}
		found, err := creds.Traces(dir)
		if err != nil {
			u.failed = append(u.failed, fmt.Errorf("could not look for keys: %w", err))
		}
		for _, path := range found {
			remove := func(context.Context) error { return gone(os.Remove(path)) }
			workspace := strings.TrimSuffix(filepath.Base(path), ".json")
			if dir == logins && creds.LoginPath(dir, workspace) == path {
				remove = func(context.Context) error {
					_, err := creds.RemoveLogin(dir, workspace)
					return err
				}
			}
			u.traces = append(u.traces, trace{what + path, func(ctx context.Context) error {
				err := remove(ctx)
				_ = os.Remove(dir) // once it is empty
				return err
			}})
		}
		if dir == logins && len(found) > 0 {
			u.left = append(u.left, "the API keys themselves, which live on: delete them on the platform's page, "+platformPage(platformBase()))
		}
	}
}

// findFiles takes those files of a folder in the state directory together whose
// names are ours.
func (u *uninstall) findFiles(folder, what string, ours *regexp.Regexp) {
	dir := filepath.Join(u.state, folder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			u.failed = append(u.failed, err)
		}
		return
	}
	u.traces = append(u.traces, trace{what + ": " + dir, func(context.Context) error {
		var errs []error
		for _, e := range entries {
			if ours.MatchString(e.Name()) && !e.IsDir() {
				errs = append(errs, gone(os.Remove(filepath.Join(dir, e.Name()))))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		return emptied(dir)
	}})
}

// jobFolder are the names of jobs' folders, and of those that are being removed.
var jobFolder = regexp.MustCompile(`^(\.removed-)?[a-z2-7]{10}(-\d+)?$`)

func (u *uninstall) findState(jobs []*jobView) {
	dir := filepath.Join(u.state, "jobs")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.failed = append(u.failed, err)
	}
	if len(entries) > 0 {
		u.traces = append(u.traces, trace{fmt.Sprintf("%s, with journals and logs: %s, %s", jobCount(len(jobs)), dir, show.Bytes(sizeOnDisk(dir))), func(ctx context.Context) error {
			left := map[string][]transfer.Leftover{}
			for _, v := range jobs {
				left[v.id] = v.leftovers()
			}
			var errs []error
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				switch {
				case !e.IsDir() || !jobFolder.MatchString(e.Name()):
				case strings.HasPrefix(e.Name(), "."):
					errs = append(errs, os.RemoveAll(path))
				default:
					err := journal.Erase(ctx, path)
					if err == nil { // else it may run, and write to them
						err = removeLeftovers(left[e.Name()], func(string) {})
					}
					errs = append(errs, err)
				}
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			return emptied(dir)
		}})
	}
	for _, v := range jobs {
		if left := v.leftovers(); len(left) > 0 {
			u.traces[len(u.traces)-1].what += fmt.Sprintf("; and unfinished files of job %s: %d in %s", v.id, len(left), v.job.Dir)
		}
	}
	u.findFiles("schedules", "what is known of schedules", regexp.MustCompile(`^[A-Za-z0-9_-]+\.(json|sbatch|stalled|log)(\.tmp)?$`))
	if _, err := os.Stat(u.state); err == nil {
		u.traces = append(u.traces, trace{"the state directory " + u.state, func(context.Context) error {
			for _, folder := range []string{"jobs", "schedules", "logins", "creds", "cache"} {
				_ = os.Remove(filepath.Join(u.state, folder)) // if it is empty
			}
			return emptied(u.state)
		}})
	}
}

// findOpen names what would be left in the store.
func (u *uninstall) findOpen(jobs []*jobView) {
	for _, v := range jobs {
		n := len(v.uploads())
		switch {
		case v.fault != nil && u.o.state:
			u.left = append(u.left, fmt.Sprintf("whatever job %s has begun in the store, which can't be read: %v", v.id, v.fault))
		case n == 0:
		case u.o.state:
			u.left = append(u.left, fmt.Sprintf("%s that job %s has begun in the bucket %s: end them first with '%s jobs abort %s'", begunUploads(n), v.id, v.job.Bucket, u.name, v.id))
		default:
			u.left = append(u.left, fmt.Sprintf("%s of job %s in the bucket %s: %s jobs abort %s", begunUploads(n), v.id, v.job.Bucket, u.name, v.id))
		}
	}
}

func (u *uninstall) findConfig() {
	if path, _, err := configFile(); err == nil && exists(path) {
		u.left = append(u.left, "the configuration file: "+deletion(path))
	}
}

// completionsAt are where people put what 'completion' prints.
func completionsAt() []string {
	paths := []string{
		"/etc/bash_completion.d/" + program, "/usr/share/bash-completion/completions/" + program,
		"/usr/local/share/bash-completion/completions/" + program,
		"/usr/local/share/zsh/site-functions/_" + program, "/usr/share/zsh/site-functions/_" + program,
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return paths
	}
	for _, below := range []string{
		".local/share/bash-completion/completions/" + program, ".config/fish/completions/" + program + ".fish",
		".zfunc/_" + program, ".zsh/completions/_" + program, ".bash_completion.d/" + program,
	} {
		paths = append(paths, filepath.Join(home, filepath.FromSlash(below)))
	}
	return paths
}

// findCompletions finds what people have put up themselves, so that they take
// it down themselves.
func (u *uninstall) findCompletions() {
	for _, path := range completionsAt() {
		text, err := os.ReadFile(path)
		head := text[:min(len(text), 200)]
		if err == nil && (bytes.Contains(head, []byte("completion")) || bytes.Contains(head, []byte("#compdef"))) && bytes.Contains(head, []byte(program)) {
			u.left = append(u.left, "completion: "+deletion(path))
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return
	}
	for _, name := range []string{".bashrc", ".bash_profile", ".profile", ".zshrc", ".config/fish/config.fish"} {
		path := filepath.Join(home, filepath.FromSlash(name))
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(program+" completion ")) {
			u.left = append(u.left, fmt.Sprintf("a line in %s that calls '%s completion': take it out by hand", path, program))
		}
	}
}

func (u *uninstall) findBinary(ctx context.Context) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil { // macOS tells the link that was called
		path = real
	}
	if remove := packaged(ctx, path); remove != "" {
		u.left = append(u.left, fmt.Sprintf("the program %s, which a package manager has installed: %s", path, remove))
		return nil
	}
	paths := []string{path}
	if link, err := exec.LookPath(program); err == nil {
		if at, err := filepath.EvalSymlinks(link); err == nil && at == path && link != path {
			paths = append(paths, link)
		}
	}
	for _, path := range paths {
		if !u.o.binary {
			u.left = append(u.left, "the program: "+deletion(path))
			continue
		}
		u.traces = append(u.traces, trace{"the program " + path, func(context.Context) error { return os.Remove(path) }})
	}
	return nil
}

// deletion is what a person types to delete a file.
func deletion(path string) string {
	if runtime.GOOS == "windows" {
		return `del "` + path + `"`
	}
	return "rm " + shellWord(path)
}

// gone is err, unless that is that there was nothing.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// strangers is that a folder of ours has something in it that is not ours.
type strangers struct {
	dir   string
	names []string
}

func (e *strangers) Error() string {
	return fmt.Sprintf("%s has something else in it: %s", e.dir, strings.Join(e.names, ", "))
}
func (e *strangers) hint() string { return "look at it, and remove it by hand" }

// emptied removes a folder in which nothing of ours is left.
func emptied(dir string) error {
	err := os.Remove(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	entries, rerr := os.ReadDir(dir)
	if rerr != nil || len(entries) == 0 {
		return err
	}
	e := &strangers{dir: dir}
	for _, entry := range entries {
		if e.names = append(e.names, entry.Name()); len(e.names) == 5 {
			e.names[4] = "…"
			break
		}
	}
	return e
}
