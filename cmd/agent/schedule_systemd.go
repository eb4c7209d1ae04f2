package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// systemd keeps schedules as pairs of a service and a timer.
type systemd struct {
	dir  string
	user bool
}

const systemUnits = "/etc/systemd/system"

func newSystemd(system bool) (systemd, error) {
	if system {
		return systemd{dir: systemUnits}, nil
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return systemd{}, err
		}
		dir = filepath.Join(home, ".config")
	}
	return systemd{dir: filepath.Join(dir, "systemd", "user"), user: true}, nil
}

// unitMark is by what our units are known.
const unitMark = "# Made by '" + program + " schedule install'; '" + program + " schedule remove' removes it.\n"

const unitPrefix = program + "-"

func (k systemd) path(name, kind string) string {
	return filepath.Join(k.dir, unitPrefix+name+"."+kind)
}

// unitWord is s as one word of a unit's line.
func unitWord(s string) string {
	s = strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`, `"`, `\"`).Replace(s)
	if s == "" || strings.ContainsAny(s, " \t'\";\\") {
		return `"` + s + `"`
	}
	return s
}

// unitSetting is an assignment of Environment=, where $ means nothing.
func unitSetting(name, value string) string {
	return `"` + name + "=" + strings.NewReplacer("%", "%%", `\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

func (k systemd) service(s *schedule) string {
	var b strings.Builder
	b.WriteString(unitMark)
	fmt.Fprintf(&b, "[Unit]\nDescription=%s: %s\n", program, s.name)
	if !k.user { // users' managers know no such target
		b.WriteString("Wants=network-online.target\nAfter=network-online.target\n")
	}
	words := []string{unitWord(s.program)}
	for _, a := range s.args {
		words = append(words, unitWord(a))
	}
	fmt.Fprintf(&b, "\n[Service]\nType=oneshot\nExecStart=%s\n", strings.Join(words, " "))
	// With the minus it starts all the same where the folder is gone.
	fmt.Fprintf(&b, "WorkingDirectory=-%s\n", strings.ReplaceAll(s.dir, "%", "%%"))
	for _, p := range k.settings(s) {
		fmt.Fprintf(&b, "Environment=%s\n", unitSetting(p[0], p[1]))
	}
	// 6: its time was over; 75: another run is at it. Neither is a failure.
	b.WriteString("SuccessExitStatus=6 75\nTimeoutStopSec=30\n")
	return b.String()
}

// settings are the schedule's, and for the system HOME, which units lack there.
func (k systemd) settings(s *schedule) [][2]string {
	pairs := s.settings()
	if home, err := os.UserHomeDir(); err == nil && !k.user {
		pairs = append(pairs, [2]string{"HOME", home})
	}
	return pairs
}

func (k systemd) timer(s *schedule) string {
	var b strings.Builder
	b.WriteString(unitMark)
	fmt.Fprintf(&b, "[Unit]\nDescription=%s: %s\n\n[Timer]\n", program, s.name)
	for _, c := range s.when.calendar() {
		fmt.Fprintf(&b, "OnCalendar=%s\n", c)
	}
	fmt.Fprintf(&b, "Persistent=true\nRandomizedDelaySec=%d\n\n[Install]\nWantedBy=timers.target\n", int(s.when.delay/time.Second))
	return b.String()
}

func (k systemd) show(w io.Writer, s *schedule) error {
	_, err := fmt.Fprintf(w, "%s:\n\n%s\n%s:\n\n%s\n", k.path(s.name, "service"), indent(k.service(s)), k.path(s.name, "timer"), indent(k.timer(s)))
	return err
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}

const noSystemd = "use --crontab where there is cron, or --slurm"

func (k systemd) ctl(ctx context.Context, args ...string) error {
	if k.user {
		args = append([]string{"--user"}, args...)
	}
	_, err := tool(ctx, "", noSystemd, "systemctl", args...)
	return err
}

func (k systemd) install(ctx context.Context, s *schedule) error {
	// Before anything is written: is there anybody to read it?
	if err := k.ctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	if ours, err := k.ours(s.name); err == nil && !ours {
		return fmt.Errorf("%s was not made by %s and is left as it is", k.path(s.name, "timer"), program)
	}
	for kind, text := range map[string]string{"service": k.service(s), "timer": k.timer(s)} {
		if err := replaceFile(k.path(s.name, kind), text, 0o644); err != nil {
			return err
		}
	}
	err := k.ctl(ctx, "daemon-reload")
	if err == nil {
		err = k.ctl(ctx, "enable", unitPrefix+s.name+".timer")
	}
	if err == nil {
		err = k.ctl(ctx, "restart", unitPrefix+s.name+".timer") // a new time counts at once
	}
	if err != nil { // a half installed one helps nobody
		_ = os.Remove(k.path(s.name, "timer"))
		_ = os.Remove(k.path(s.name, "service"))
		_ = k.ctl(ctx, "daemon-reload")
	}
	return err
}

// ours reports whether the units of that name are ours; an error where there are none.
func (k systemd) ours(name string) (bool, error) {
	text, err := os.ReadFile(k.path(name, "timer"))
	return strings.HasPrefix(string(text), unitMark), err
}

func (k systemd) notes(ctx context.Context, s *schedule) []string {
	ctl, journal := "systemctl", "journalctl"
	if k.user {
		ctl, journal = "systemctl --user", "journalctl --user"
	}
	notes := []string{
		fmt.Sprintf("start it now with: %s start %s%s.service", ctl, unitPrefix, s.name),
		fmt.Sprintf("what it says: %s -u %s%s.service", journal, unitPrefix, s.name),
	}
	if !k.user {
		return notes
	}
	out, err := tool(ctx, "", "", "loginctl", "show-user", fmt.Sprint(os.Getuid()), "--property=Linger")
	if err != nil || strings.TrimSpace(out) != "Linger=yes" {
		notes = append(notes, "it runs only while you are logged in; for always: loginctl enable-linger")
	}
	return notes
}

func (k systemd) list(context.Context) ([]scheduled, error) {
	found, err := filepath.Glob(k.path("*", "timer"))
	if err != nil {
		return nil, err
	}
	var all []scheduled
	for _, path := range found {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), unitPrefix), ".timer")
		if ours, err := k.ours(name); err != nil || !ours {
			continue
		}
		timer, _ := os.ReadFile(path)
		service, _ := os.ReadFile(k.path(name, "service"))
		sc := scheduled{name: name, kind: "systemd", when: strings.Join(unitValues(string(timer), "OnCalendar"), " or "),
			command: strings.Join(unitValues(string(service), "ExecStart"), " ")}
		if !k.user {
			sc.kind = "systemd, system"
		}
		all = append(all, sc)
	}
	return all, nil
}

func unitValues(text, name string) (values []string) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

func (k systemd) remove(ctx context.Context, name string) (bool, error) {
	if ours, err := k.ours(name); err != nil || !ours {
		return false, nil //nolint:nilerr // then there is none of ours
	}
	// Where systemd does not answer, what is gone from disk is gone at its next start.
	err := k.ctl(ctx, "disable", "--now", unitPrefix+name+".timer")
	for _, kind := range []string{"timer", "service"} {
		if e := os.Remove(k.path(name, kind)); e != nil && !os.IsNotExist(e) {
			return true, e
		}
	}
	_ = os.Remove(filepath.Join(k.dir, "timers.target.wants", unitPrefix+name+".timer")) // where disable could not
	if err == nil {
		err = k.ctl(ctx, "daemon-reload")
	}
	if isMissing(err) {
		err = nil
	}
	return true, err
}
