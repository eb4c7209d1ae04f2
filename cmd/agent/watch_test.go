//go:build linux

package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// onlooker sees what every other user of a machine sees of the processes of a
// rig, and what those of the same user see: their command lines and
// environments. It knows them by their environment, so that a detached run and
// what agents start are among them.
type onlooker struct {
	mark []byte
	quit chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	cmdlines map[string]bool
	environs map[string]bool
}

// watchProcesses looks at all processes until the test ends.
func (r *rig) watchProcesses() *onlooker {
	o := &onlooker{
		mark: []byte("AGENT_STATE_DIR=" + r.state + "\x00"), quit: make(chan struct{}),
		cmdlines: map[string]bool{}, environs: map[string]bool{},
	}
	o.wg.Go(func() {
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			o.look()
			select {
			case <-o.quit:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	r.t.Cleanup(o.end)
	return o
}

func (o *onlooker) look() {
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range found {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(env, o.mark) {
			continue // it has ended, or is none of ours
		}
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		o.mu.Lock()
		o.cmdlines[strings.ReplaceAll(string(cmdline), "\x00", " ")] = true
		o.environs[string(env)] = true
		o.mu.Unlock()
	}
}

// saw reports whether a process with text in its command line was seen.
func (o *onlooker) saw(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range o.cmdlines {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

func (o *onlooker) end() {
	select {
	case <-o.quit:
	default:
		close(o.quit)
	}
	o.wg.Wait()
}

// check ends the looking and searches what was seen. given are the secrets that
// agents were given in their environment, which what they start inherits.
func (o *onlooker) check(t *testing.T, s *secrets, given []string) {
	t.Helper()
	o.end()
	if len(o.cmdlines) < 10 {
		t.Errorf("only %d command lines were seen", len(o.cmdlines))
	}
	for _, line := range slices.Sorted(maps.Keys(o.cmdlines)) {
		for _, what := range s.in([]byte(line)) {
			t.Errorf("%s is in a command line: %s", what, line)
		}
	}
	for env := range o.environs {
		for _, secret := range given {
			env = strings.ReplaceAll(env, secret, "")
		}
		for _, what := range s.in([]byte(env)) {
			t.Errorf("%s is in the environment of a process that was not given it", what)
		}
	}
}
