package journal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// Holder says who holds a journal, and how far it is. It lies beside the
// journal, for those who cannot open it. After a crash it is stale: only a
// BusyError means that somebody really holds the journal.
type Holder struct {
	PID      int       `json:"pid"`
	Host     string    `json:"host"`
	Version  string    `json:"version,omitempty"`
	Started  time.Time `json:"started"`
	Updated  time.Time `json:"updated"`
	Place    Place     `json:"place"`
	Progress Progress  `json:"progress"`
}

// Place is where a run sends to, and whose credentials it needs.
type Place struct {
	Endpoint string `json:"endpoint,omitempty"` // "" for AWS's own
	Region   string `json:"region,omitempty"`
	Bucket   string `json:"bucket,omitempty"`
	Prefix   string `json:"prefix,omitempty"` // of its keys
	Scope    string `json:"scope,omitempty"`  // the workspace, or s3://bucket, that credentials are for
}

// Progress is what another agent can show of a run.
type Progress struct {
	FilesDone  int64  `json:"files_done"`
	FilesFound int64  `json:"files_found"`
	BytesDone  int64  `json:"bytes_done"`
	BytesFound int64  `json:"bytes_found"`
	Waiting    string `json:"waiting,omitempty"` // for what; "" while it works

	// Credentials: it is credentials that it waits for.
	Credentials bool `json:"waiting_for_credentials,omitempty"`
}

// WriteHolder replaces what others see. PID, Host and Updated may be left
// zero. Its failure is no failure of the journal. After Close it writes nothing.
func (d *DB) WriteHolder(h Holder) error {
	if h.PID == 0 {
		h.PID = os.Getpid()
	}
	if h.Host == "" {
		h.Host, _ = os.Hostname()
	}
	if h.Updated.IsZero() {
		h.Updated = d.o.Now().UTC()
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	d.holderMu.Lock()
	defer d.holderMu.Unlock()
	if d.holderGone {
		return ErrClosed
	}
	path := filepath.Join(d.dir, holderName)
	// Not synced: after a crash nobody needs it.
	return replace(path, append(printable(text), '\n'))
}

// removeHolder is for Close, and for Open: it removes what a crash has left.
func (d *DB) removeHolder(forGood bool) {
	d.holderMu.Lock()
	defer d.holderMu.Unlock()
	d.holderGone = forGood
	path := filepath.Join(d.dir, holderName)
	_ = os.Remove(path + ".tmp")
	_ = os.Remove(path)
}

// ReadHolder reads what the holder of the journal in dir last wrote.
func ReadHolder(dir string) (Holder, error) {
	text, err := os.ReadFile(filepath.Join(dir, holderName))
	if err != nil {
		return Holder{}, err
	}
	var h Holder
	if err := json.Unmarshal(text, &h); err != nil {
		return Holder{}, err
	}
	return h, nil
}

// Holders are what the runs under dir, a folder of jobs, have told within the
// last while. One that crashed is among them for so long.
func Holders(dir string, while time.Duration) ([]Holder, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*", holderName))
	if err != nil {
		return nil, err
	}
	var found []Holder
	for _, path := range all {
		// What is gone by now, or half a file, is no run to tell of.
		if h, err := ReadHolder(filepath.Dir(path)); err == nil && time.Since(h.Updated).Abs() < while {
			found = append(found, h)
		}
	}
	return found, nil
}
