//go:build cron && linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCronDaemon is TestLongCronLine with cron itself, at its own pace: every
// minute for ten minutes. It needs root and Debian's package cron. The daemon
// has mounts of its own, so that it sees no crontab of this machine and nobody
// sees the one that is installed.
func TestCronDaemon(t *testing.T) {
	const minAge, minutes = 10 * time.Second, 10
	j := newCronJob(t, "1MB")
	cron := exec.Command("unshare", "--mount", j.script(t, "daemon", fmt.Sprintf(`set -e
mount -t tmpfs none /var/spool/cron
install -d -m 1730 -g crontab /var/spool/cron/crontabs
mount -t tmpfs none /etc/cron.d
mount -t tmpfs none /run
mount --bind /dev/null /etc/crontab
printf 'HOME=%s\nSHELL=%s/shell\n' | crontab -
'%s' %s
crontab -l
exec cron -f`, j.r.home, j.home, built.agent, shellLine(j.install(minAge)))))
	p := j.r.startAs(cron)
	p.says("installed growing")
	g := &grower{dir: j.dir, tick: time.Second, steps: 30, large: 12 << 20, huge: 80 << 20, until: minutes * 60}
	grown := g.start(t)
	began := time.Now()
	at := began.Add(2*time.Minute + rand.N(5*time.Minute))
	for minute := time.NewTicker(time.Second); time.Since(began) < minutes*time.Minute; <-minute.C {
		if len(j.kills) == 0 && time.Now().After(at) {
			j.killOne(t, 15*time.Second)
		}
		if !p.running() {
			t.Fatalf("cron ended\n%s", p.wait().err)
		}
	}
	want := grown()
	full := time.Now().Add(minAge)
	for !j.finished(t, full) {
		if time.Since(full) > 5*time.Minute {
			t.Fatalf("no run begun after %v has ended: %v", full, j.runs(t))
		}
		<-time.After(time.Second)
	}
	p.signal(syscall.SIGTERM)
	p.wait()
	for i, c := range j.runs(t) {
		t.Logf("run %2d: began %s, took %5.1f s, exit code %d", i+1, c.began.Format("15:04:05"), c.ended.Sub(c.began).Seconds(), c.code)
	}
	j.check(t, want)
}

// finished tells whether a run that began after at has ended well, and nothing
// runs.
func (j *cronJob) finished(t *testing.T, at time.Time) bool {
	for _, c := range j.runs(t) {
		if c.began.After(at) && c.code == 0 {
			return j.holder() == 0
		}
	}
	return false
}

func shellLine(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, shellWord(w))
	}
	return strings.Join(all, " ")
}
