package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func aSchedule(t *testing.T, o scheduleOptions) *schedule {
	t.Helper()
	s := &schedule{
		name: "nightly", program: "/opt/my tools/agent", dir: "/home/me/50% done", status: "/state/schedules/nightly.json", o: o,
		args: []string{"upload", "--wait-credentials=10m", "--status-file=/state/schedules/nightly.json", "/data/it's $HOME 100%", `/data/a\b"c`, "my-ws/data", ""},
		env:  map[string]string{"AWS_REGION": "eu-west-2", "AWS_ENDPOINT_URL": "https://s3.example/%20$x"},
	}
	var err error
	if !o.slurm {
		if s.when, err = o.time(s.name); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSystemdUnits(t *testing.T) {
	s := aSchedule(t, scheduleOptions{at: "02:30"})
	k := systemd{dir: t.TempDir(), user: true}
	golden(t, "nightly.service", k.service(s))
	golden(t, "nightly.timer", k.timer(s))
	verifyUnits(t, k, s)
}

// verifyUnits asks systemd itself, where it is installed.
func verifyUnits(t *testing.T, k systemd, s *schedule) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed: the units are not verified")
		return
	}
	s.program = "/bin/true"
	s.dir = "/"
	timer := k.path(s.name, "timer")
	for kind, text := range map[string]string{"service": k.service(s), "timer": k.timer(s)} {
		if err := os.WriteFile(k.path(s.name, kind), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(analyze, "verify", "--man=no", timer, k.path(s.name, "service")).CombinedOutput()
	if err != nil || strings.Contains(string(out), filepath.Base(k.dir)) {
		t.Errorf("%v: %s", err, out)
	}
	for _, text := range []string{"*/15 * * * *", "0 2 * * *", "5,10 1-3 1,15 jan,jul 1", "0 0 29 2 *", "0 4 * * 1-5", "59 23 */2 * sun"} {
		w, err := parseCron(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range w.calendar() {
			if out, err := exec.Command(analyze, "calendar", c).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %s", text, c, out)
			}
		}
	}
}

func TestCrontabLine(t *testing.T) {
	golden(t, "crontab", cronLine(aSchedule(t, scheduleOptions{crontab: true, cron: "0 2 * * *"}))+"\n")
}

func TestSlurmScript(t *testing.T) {
	golden(t, "nightly.sbatch", slurm{dir: "/state/schedules"}.script(aSchedule(t, scheduleOptions{slurm: true, limit: "12:00:00", sbatch: []string{"--partition=transfer"}})))
}

func TestCalendar(t *testing.T) {
	for cron, want := range map[string]string{
		"0 2 * * *":     "*-*-* 02:00:00",
		"*/15 * * * *":  "*-*-* *:00,15,30,45:00",
		"* * * * *":     "*-*-* *:*:00",
		"5 1-3 * * *":   "*-*-* 01,02,03:05:00",
		"0 0 1 jan *":   "*-01-01 00:00:00",
		"0 4 * * 1-5":   "Mon,Tue,Wed,Thu,Fri *-*-* 04:00:00",
		"0 4 * * 7":     "Sun *-*-* 04:00:00",
		"0 4 * * 5-7":   "Sun,Fri,Sat *-*-* 04:00:00",
		"0 4 13 * 5":    "*-*-13 04:00:00 | Fri *-*-* 04:00:00",
		"0 4 */10 * 5":  "Fri *-*-01,11,21,31 04:00:00",
		"@daily":        "*-*-* 00:00:00",
		"1-9/4 0 * * *": "*-*-* 00:01,05,09:00",
	} {
		w, err := parseCron(cron)
		if err != nil {
			t.Error(cron, err)
			continue
		}
		if got := strings.Join(w.calendar(), " | "); got != want {
			t.Errorf("%s: got %s, want %s", cron, got, want)
		}
	}
	for _, bad := range []string{"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "5/2 * * * *",
		"*/0 * * * *", "9-1 * * * *", "@reboot", "1,, * * * *", "-1 * * * *", "+1 * * * *", "* * * * * *"} {
		if w, err := parseCron(bad); err == nil {
			t.Errorf("%q: %v", bad, w.calendar())
		}
	}
}

func FuzzCron(f *testing.F) {
	f.Add("*/15 1-3 1,15 jan sun")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := parseCron(text)
		if err != nil {
			return
		}
		for _, c := range w.calendar() {
			if strings.ContainsAny(c, "\n%$") || strings.Contains(c, ",:") || strings.Contains(c, "-:") {
				t.Errorf("%q: %q", text, c)
			}
		}
	})
}

func TestEvery(t *testing.T) {
	for every, want := range map[string]string{
		"1m": "* * * * *", "15m": "6-59/15 * * * *", "1h": "6 * * * *", "60m": "6 * * * *", "6h": "6 5-23/6 * * *", "1d": "6 11 * * *", "24h": "6 11 * * *", "1w": "6 11 * * 1",
	} {
		var s span
		if err := s.Set(every); err != nil {
			t.Fatal(err)
		}
		w, err := parseEvery(s, "nightly")
		if err != nil || w.cron != want {
			t.Errorf("%s: %+v, %v, want %s", every, w, err, want)
			continue
		}
		if w.delay != min(time.Duration(s)/10, maxDelay) {
			t.Errorf("%s: %v", every, w.delay)
		}
	}
	for _, d := range []time.Duration{90 * time.Second, 7 * time.Minute, 90 * time.Minute, 5 * time.Hour, 36 * time.Hour, 48 * time.Hour} {
		if w, err := parseEvery(span(d), "x"); err == nil {
			t.Errorf("%v: %s", d, w.cron)
		}
	}
}

func TestWithoutOneSchedule(t *testing.T) {
	const text = "MAILTO=me\n# agent schedule: a\n1 * * * * x\n# agent schedule: ab\n2 * * * * y\n\t# mine\n"
	got, found := withoutSchedule(text, "a")
	if want := "MAILTO=me\n# agent schedule: ab\n2 * * * * y\n\t# mine\n"; !found || got != want {
		t.Errorf("%v, %q", found, got)
	}
	if got, found := withoutSchedule(text, "b"); found || got != text {
		t.Errorf("%v, %q", found, got)
	}
}
