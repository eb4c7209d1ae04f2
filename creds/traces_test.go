package creds

import (
	"path/filepath"
	"testing"
	"time"
)

func TestTraces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logins")
	if found, err := Traces(dir); err != nil || len(found) > 0 {
		t.Errorf("no folder: %v, %v", found, err)
	}
	path := LoginPath(dir, "my-ws")
	if err := WriteLogin(path, Login{Base: "https://x/api", Workspace: "my-ws", Key: planted}); err != nil {
		t.Fatal(err)
	}
	h := &Handover{Dir: dir, Workspace: "s3://Some.Bucket"}
	if err := h.Put(pasted(t, "ONE", time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".my-ws.json.123"), planted, 0o600)
	write(t, filepath.Join(dir, "broken.json"), planted, 0o600)
	for _, others := range []string{"notes.txt", "A.json", ".hidden.json"} {
		write(t, filepath.Join(dir, others), "x", 0o600)
	}
	found, err := Traces(dir)
	if err != nil || len(found) != 4 {
		t.Fatalf("%v, %v", found, err)
	}
}
