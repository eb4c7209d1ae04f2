package creds

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// watched is a fake source with a file.
type watched struct {
	*fake
	path      string
	dedicated bool
}

func (w watched) Files() []string { return []string{w.path} }

func (w watched) Dedicated() bool { return w.dedicated }

// touch changes the file so that it is seen whatever the clock's grain.
func touch(t *testing.T, path string, size int) {
	t.Helper()
	write(t, path, strings.Repeat("x", size), 0o600)
}

// In mid-run, two seconds after a file of its source has changed, the new set
// is live, and nobody was disturbed.
func TestChangedFileInMidRun(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var events told
		src := watched{fake: giving("file", keys("A", time.Hour), keys("B", time.Hour), keys("B", 30*time.Minute)), path: filepath.Join(dir, "f")}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		time.Sleep(20 * time.Minute)
		touch(t, src.path, 1)
		time.Sleep(2100 * time.Millisecond)
		if live(p) != "B" || events.kinds() != "" {
			t.Errorf("live %q, events %q", live(p), events.kinds())
		}
		touch(t, src.path, 2) // rewritten with an end that is nearer: what is in the file counts
		time.Sleep(4100 * time.Millisecond)
		if i, ok := p.Info(); !ok || time.Until(i.Expires) > 10*time.Minute {
			t.Errorf("ends in %v", time.Until(i.Expires))
		}
		if n := src.calls.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

// What a changed file brings, by the place of its source and the life of its set.
func TestChangedFileByPlace(t *testing.T) {
	const none = 0 // no known end
	for name, c := range map[string]struct {
		live, brought time.Duration
		place         int // of the source with the file: 0 before the live one, 2 after it
		dedicated     bool
		want          string
		asked         int32
	}{
		"before":                 {time.Hour, time.Minute, 0, false, "FILE", 2},
		"before, no known end":   {none, time.Minute, 0, false, "FILE", 2},
		"after, of others":       {time.Hour, 2 * time.Hour, 2, false, "LIVE", 0},
		"after, longer":          {time.Hour, 2 * time.Hour, 2, true, "FILE", 1},
		"after, sooner":          {time.Hour, 30 * time.Minute, 2, true, "LIVE", 1},
		"after, live has no end": {none, time.Hour, 2, true, "LIVE", 0},
		"after, neither has one": {none, none, 2, true, "LIVE", 0},
		"after, for ever":        {time.Hour, none, 2, true, "FILE", 1},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			synctest.Test(t, func(t *testing.T) {
				var events told
				src := watched{path: path, dedicated: c.dedicated, fake: &fake{name: "file"}}
				src.give = func(context.Context, int) (aws.Credentials, error) {
					if stamps(src)[0].size < 0 {
						return aws.Credentials{}, errors.New("no file")
					}
					return keys("FILE", c.brought), nil
				}
				holder, other := giving("live", keys("LIVE", c.live)), giving("other", keys("OTHER", 24*time.Hour))
				sources := []Source{src, holder, own{other}}
				if c.place == 2 {
					sources = []Source{holder, src, own{other}}
				}
				p := New(Options{Sources: sources, Event: events.take})
				defer p.Close()
				mustWait(t, p, "LIVE")
				time.Sleep(time.Minute)
				touch(t, path, 1)
				time.Sleep(3 * time.Second)
				if live(p) != c.want || src.calls.Load() != c.asked {
					t.Errorf("live %q, asked %d times", live(p), src.calls.Load())
				}
				if holder.calls.Load() != 1 || other.calls.Load() != 0 || events.kinds() != "" {
					t.Errorf("the others were asked %d and %d times, events %q", holder.calls.Load(), other.calls.Load(), events.kinds())
				}
			})
		})
	}
}

// A source that writes its own files when it is asked does not keep itself busy.
func TestSourceThatWritesItsOwnFiles(t *testing.T) {
	for name, c := range map[string]struct {
		give func(call int) (aws.Credentials, error)
		most int32 // calls in half an hour
	}{
		"the same set": {func(int) (aws.Credentials, error) { return keys("A", 0), nil }, 2},
		"a new set":    {func(call int) (aws.Credentials, error) { return keys(fmt.Sprint("A", call), 24*time.Hour), nil }, 2},
		"nothing": {func(call int) (aws.Credentials, error) {
			if call > 1 {
				return aws.Credentials{}, errors.New("fails")
			}
			return keys("A", 0), nil
		}, 45},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			synctest.Test(t, func(t *testing.T) {
				var events told
				src := watched{path: path, fake: &fake{name: "file", give: func(_ context.Context, call int) (aws.Credentials, error) {
					touch(t, path, call)
					return c.give(call)
				}}}
				p := New(Options{Sources: []Source{src}, Event: events.take})
				defer p.Close()
				if _, err := p.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				touch(t, path, 1000) // somebody else writes it, once
				time.Sleep(30 * time.Minute)
				if n := src.calls.Load(); n < 2 || n > c.most || live(p) == "" || events.kinds() != "" {
					t.Errorf("asked %d times, live %q, events %q", n, live(p), events.kinds())
				}
			})
		})
	}
}

// A half-written file is read again when it is whole.
func TestHalfWrittenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	synctest.Test(t, func(t *testing.T) {
		src := watched{path: path, fake: &fake{name: "file"}}
		src.give = func(context.Context, int) (aws.Credentials, error) {
			switch stamps(src)[0].size {
			case -1:
				return keys("OLD", time.Hour), nil
			case 1:
				touch(t, path, 2) // it is completed just after it was read
				return aws.Credentials{}, errors.New("is cut short")
			default:
				return keys("NEW", time.Hour), nil
			}
		}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "OLD")
		time.Sleep(time.Minute)
		touch(t, path, 1)
		time.Sleep(5 * time.Second)
		if live(p) != "NEW" {
			t.Errorf("live %q", live(p))
		}
	})
}

// What one source said while a set lived does not explain why there is none.
func TestAnswersOfACalmRoundAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	synctest.Test(t, func(t *testing.T) {
		var events told
		src := watched{path: path, fake: &fake{name: "file", give: func(context.Context, int) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("says nothing of use")
		}}}
		p := New(Options{Sources: []Source{src, giving("live", keys("A", time.Hour))}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		time.Sleep(time.Minute)
		touch(t, path, 1)
		time.Sleep(3 * time.Second)
		if n := src.calls.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
		refuse(p, "A", "ExpiredToken")
		var none *NoneError
		if _, err := p.Retrieve(t.Context()); !errors.As(err, &none) || len(none.Asked) > 0 || events.kinds() != "" {
			t.Errorf("%v, events %q", err, events.kinds())
		}
	})
}

// An exported token without a known end keeps its turn until it is refused; the
// fresh paste is there then.
func TestPasteBesideTheEnvironment(t *testing.T) {
	home(t)
	setEnvKeys(t, "ENV")
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &Handover{Dir: dir, Workspace: "w"}
		p := New(Options{Sources: []Source{Environment{}, h}})
		defer p.Close()
		mustWait(t, p, "ENV")
		if err := h.Put(pasted(t, "PASTE", time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if live(p) != "ENV" {
			t.Errorf("live %q before the refusal", live(p))
		}
		refuse(p, "ENV", "ExpiredToken")
		mustWait(t, p, "PASTE")
		if err := h.Put(pasted(t, "AGAIN", time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if live(p) != "AGAIN" {
			t.Errorf("live %q: a paste over a live one is not taken up", live(p))
		}
	})
}
