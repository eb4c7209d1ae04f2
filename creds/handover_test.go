package creds

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func pasted(t *testing.T, id string, end time.Time) Set {
	t.Helper()
	s, err := ParsePaste(fillIn("ACCESS_KEY_ID="+id+"\nSECRET_ACCESS_KEY=%S\nSESSION_TOKEN=%T\nEXPIRATION="+end.UTC().Format(time.RFC3339)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHandover(t *testing.T) {
	h := &Handover{Dir: filepath.Join(t.TempDir(), "state", "creds"), Workspace: "my-ws"}
	if _, err := h.Retrieve(t.Context()); !errors.Is(err, ErrNothingPasted) {
		t.Error(err)
	}
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	if err := h.Put(pasted(t, "ONE", end)); err != nil {
		t.Fatal(err)
	}
	c, err := h.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != "ONE" || c.SecretAccessKey != pasteSecret || c.SessionToken != pasteToken || !c.Expires.Equal(end) {
		t.Errorf("%v", err)
	}
	if err := h.Put(pasted(t, "TWO", end)); err != nil {
		t.Fatal(err)
	}
	if c, err := h.Retrieve(t.Context()); err != nil || c.AccessKeyID != "TWO" {
		t.Error(err)
	}
	if fi, err := os.Stat(h.Path()); err != nil || othersAreToldApart() && fi.Mode().Perm() != 0o600 || len(h.Files()) != 1 {
		t.Error(err)
	}
	other := &Handover{Dir: h.Dir, Workspace: "my-ws-2"}
	if err := other.Put(pasted(t, "THREE", end)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} { // the second time there is none left
		if n, err := RemoveHandovers(h.Dir, "my-ws"); n != want || err != nil {
			t.Errorf("%d hand-overs removed, want %d: %v", n, want, err)
		}
	}
	if c, err := other.Retrieve(t.Context()); err != nil || c.AccessKeyID != "THREE" {
		t.Errorf("another workspace's is gone: %v", err)
	}
	if err := h.Put(Set{}); err == nil {
		t.Error("an empty set is handed over")
	}
}

func TestHandoverNames(t *testing.T) {
	seen := map[string]bool{}
	for _, h := range []*Handover{
		{Workspace: "a"}, {Workspace: "b"}, {Workspace: "a", Endpoint: "https://m"}, {Workspace: "A"}, {Workspace: "../../etc/x"},
		{Workspace: strings.Repeat("x", 500)}, {Workspace: ""}, {Workspace: "_"},
	} {
		h.Dir = "d"
		path := h.Path()
		if seen[path] || filepath.Dir(path) != "d" || len(filepath.Base(path)) > 100 {
			t.Errorf("%+v: %s", h, path)
		}
		seen[path] = true
	}
	if (&Handover{Endpoint: "https://M/"}).Path() != (&Handover{Endpoint: "https://m"}).Path() {
		t.Error("two names for one endpoint")
	}
}

func TestHandoverEnds(t *testing.T) {
	h := &Handover{Dir: t.TempDir(), Workspace: "w"}
	there := func() bool { _, err := os.Stat(h.Path()); return err == nil }
	if err := h.Put(pasted(t, "ONE", time.Now().Add(-time.Minute))); err != nil {
		t.Fatal(err)
	}
	// Only our own clock says so, and it may be the one that is wrong.
	if _, err := h.Retrieve(t.Context()); err != nil || !there() {
		t.Error(err)
	}
	SweepHandovers(h.Dir)
	if !there() {
		t.Error("swept too soon")
	}
	h.Now = func() (time.Time, bool) { return time.Now(), true }
	if _, err := h.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "expired at") || there() {
		t.Errorf("after its end: %v", err)
	}
	old := `{"access_key_id":"A","secret_access_key":"b","expiration":"2020-01-01T00:00:00Z","pasted":"2020-01-01T00:00:00Z"}`
	write(t, h.Path(), old, 0o600)
	other := filepath.Join(h.Dir, "notes.json")
	write(t, other, "{}", 0o600)
	SweepHandovers(h.Dir)
	if _, err := os.Stat(other); there() || err != nil {
		t.Error("swept too little, or too much")
	}
	h.Now = nil
	write(t, h.Path(), old, 0o600)
	if _, err := h.Retrieve(t.Context()); err == nil || there() {
		t.Error("an old one is offered")
	}
}

func TestHandoverRefusesOddFiles(t *testing.T) {
	h := &Handover{Dir: t.TempDir(), Workspace: "w"}
	for name, text := range map[string]string{
		"cut":     `{"access_key_id":"A","secret_access_key":"` + planted,
		"time":    `{"access_key_id":"A","secret_access_key":"b","pasted":"` + planted + `"}`,
		"newline": `{"access_key_id":"A\nX: y","secret_access_key":"` + planted + `"}`,
		"half":    `{"access_key_id":"` + planted + `"}`,
	} {
		write(t, h.Path(), text, 0o600)
		_, err := h.Retrieve(t.Context())
		if !errors.Is(err, errStored) {
			t.Errorf("%s: %v", name, err)
		}
		silent(t, err)
	}
	if !othersAreToldApart() {
		return
	}
	if err := os.Chmod(h.Path(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Retrieve(t.Context()); !errors.Is(err, ErrShared) {
		t.Error(err)
	}
}

// A running agent takes up a paste by itself.
func TestProviderTakesUpAPaste(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &Handover{Dir: dir, Workspace: "w"}
		var events told
		p := New(Options{Sources: []Source{h}, Event: events.take})
		defer p.Close()
		if _, err := p.Retrieve(t.Context()); !errors.Is(err, ErrNone) {
			t.Fatal(err)
		}
		if err := h.Put(pasted(t, "ONE", time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		mustWait(t, p, "ONE")
		refuse(p, "ONE", "ExpiredToken")
		if err := h.Put(pasted(t, "TWOTWO", time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		mustWait(t, p, "TWOTWO")
		synctest.Wait()
		noSecret(t, &events)
	})
}
