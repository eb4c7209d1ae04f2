package transfer

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
)

func tallied(events ...Event) Counts {
	var t Tally
	for _, e := range events {
		t.Add(e)
	}
	return t.Snapshot()
}

func TestTallyOfARunWithEverything(t *testing.T) {
	got := tallied(
		Event{Kind: Found, Key: "new", Bytes: 100},
		Event{Kind: Found, Key: "half", Bytes: 50},
		Event{Kind: Found, Key: "old", Bytes: 30},
		Event{Kind: Found, Key: "bad", Bytes: 20},
		Event{Kind: Ignored, Path: "/tmp/link", Text: "symbolic link"},
		Event{Kind: Scanned},
		Event{Kind: Planned, Key: "new", Action: Put, Bytes: 100},
		Event{Kind: Planned, Key: "half", Action: Check, Bytes: 50},
		Event{Kind: Planned, Key: "old", Action: Skip, Bytes: 30},
		Event{Kind: There, Key: "old", Bytes: 30},
		Event{Kind: Saved, Key: "half", Bytes: 10},
		Event{Kind: Saved, Key: "half", Bytes: 10},
		Event{Kind: Moved, Key: "half", Bytes: 30},
		Event{Kind: Done, Key: "half", Bytes: 50},
		Event{Kind: Moved, Key: "new", Bytes: 60},
		Event{Kind: Moved, Key: "new", Bytes: -60},
		Event{Kind: Retry, Key: "new"},
		Event{Kind: Moved, Key: "new", Bytes: 100},
		Event{Kind: Done, Key: "new", Bytes: 100},
		Event{Kind: Moved, Key: "bad", Bytes: 5},
		Event{Kind: Moved, Key: "bad", Bytes: -5},
		Event{Kind: Failed, Key: "bad", Bytes: 20},
		Event{Kind: Waiting, Text: "credentials: expired", Hint: "log in again"},
	)
	want := Counts{
		FilesFound: 4, FilesDone: 2, FilesThere: 1, FilesFailed: 1,
		FilesIgnored: 1, FilesResumed: 1, FilesPlanned: 2,
		BytesFound: 200, BytesDone: 180, BytesSent: 195, BytesAgain: 65,
		BytesThere: 30, BytesSaved: 20, BytesFailed: 20, BytesPlanned: 150,
		Retries: 1, Scanned: true, Waiting: "credentials: expired",
		Ignored: map[string]int{"symbolic link": 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Remaining() != 0 {
		t.Errorf("%d bytes remain", got.Remaining())
	}
}

func TestTallyGoingEndsWaiting(t *testing.T) {
	if c := tallied(Event{Kind: Waiting, Text: "x"}, Event{Kind: Going}); c.Waiting != "" {
		t.Errorf("still waiting for %q", c.Waiting)
	}
}

func TestTallyReasonsAreBounded(t *testing.T) {
	var ta Tally
	for i := range 10 * MaxReasons {
		ta.Add(Event{Kind: Ignored, Text: fmt.Sprint("reason ", i)})
	}
	c := ta.Snapshot()
	if len(c.Ignored) != MaxReasons || c.FilesIgnored != 10*MaxReasons {
		t.Errorf("%d reasons for %d files", len(c.Ignored), c.FilesIgnored)
	}
	if n := c.Ignored[OtherReasons]; n != 9*MaxReasons+1 {
		t.Errorf("%d for other reasons", n)
	}
	c.Ignored["mine"] = 1
	if ta.Snapshot().Ignored["mine"] != 0 {
		t.Error("a snapshot shares its map with the tally")
	}
}

func TestTallyFromManyGoroutines(t *testing.T) {
	var ta Tally
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				ta.Add(Event{Kind: Moved, Bytes: 3})
				_ = ta.Snapshot()
			}
		})
	}
	wg.Wait()
	if c := ta.Snapshot(); c.BytesSent != 24000 || c.BytesDone != 24000 {
		t.Errorf("%d sent, %d done", c.BytesSent, c.BytesDone)
	}
}

func BenchmarkTally(b *testing.B) {
	var ta Tally
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ta.Add(Event{Kind: Moved, Key: "k", Bytes: 1})
		}
	})
}
