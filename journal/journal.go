// Package journal keeps what a job has achieved in one bbolt file, so that the
// same command, run again, goes on where the last run ended, however it ended.
//
// It knows records, uploads and their parts, how they become durable, and what
// to do about a file that is held, damaged or newer. It does not know S3, local
// files, credentials or people: whoever calls it phrases the hints.
//
// A value carries a CRC32C over its bucket, its key and its bytes, because
// bbolt checks none of its data pages. What fails it counts as absent.
package journal

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// Job is what one journal is about. Only the ID, which NewJob makes of the
// rest but Started, tells jobs apart.
type Job struct {
	ID        string   `json:"id"`
	Direction string   `json:"direction"` // "upload", "sync", "download"
	Sources   []string `json:"sources"`   // absolute, in the order they were given
	Endpoint  string   `json:"endpoint"`
	Bucket    string   `json:"bucket"`
	Prefix    string   `json:"prefix"` // for a single file: its key
	// Dir is where a download goes, absolute; its Sources are s3:// addresses
	// and its keys are names below Dir. "" for other jobs.
	Dir     string    `json:"dir,omitempty"`
	Started time.Time `json:"started"`
}

// idLength is in base32 digits: 50 bits tell apart what one person ever does.
const idLength = 10

// NewJob describes a job that starts now. Upload and sync of the same pair
// have the same ID: one may finish what the other began.
func NewJob(direction string, sources []string, endpoint, bucket, prefix string) Job {
	same := direction
	if same == "sync" {
		same = "upload"
	}
	return Job{
		ID:        jobID(append([]string{same, endpoint, bucket, prefix}, sources...)),
		Direction: direction, Sources: sources,
		Endpoint: endpoint, Bucket: bucket, Prefix: prefix, Started: time.Now().UTC(),
	}
}

// Download is the Direction of a job that NewDownload describes.
const Download = "download"

// NewDownload describes a download to the absolute dir that starts now. prefix
// is what the keys of all sources have in common.
func NewDownload(sources []string, endpoint, bucket, prefix, dir string) Job {
	return Job{
		ID:        jobID(append([]string{Download, endpoint, bucket, dir}, sources...)),
		Direction: Download, Sources: sources, Dir: dir,
		Endpoint: endpoint, Bucket: bucket, Prefix: prefix, Started: time.Now().UTC(),
	}
}

func jobID(fields []string) string {
	var b []byte
	for _, f := range fields {
		// With its length before it no field can borrow from its neighbour.
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	sum := sha256.Sum256(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:idLength]
}

// holds reports whether key lies at or below the job's prefix. A prefix
// without a final slash ends at a slash: "a/b" has "a/b" and "a/b/c", not "a/bc".
func (j Job) holds(key string) bool {
	rest, ok := strings.CutPrefix(key, j.Prefix)
	if !ok {
		return false
	}
	return rest == "" || j.Prefix == "" || strings.HasSuffix(j.Prefix, "/") || rest[0] == '/'
}

// Options of Open. The zero value is what a command wants.
type Options struct {
	// Timeout is how long to wait for another holder to let go. Default 300 ms.
	Timeout time.Duration
	// Now is the clock of the names of files that are set aside. Default time.Now.
	Now func() time.Time
	// Interval is the shortest time between two commits nobody waits for, and
	// the longest that what is queued stays undurable. Default 50 ms.
	Interval time.Duration
	// Queue is how many changes may wait for a commit; more make the callers
	// wait. Default 4096.
	Queue int
	// CheckBytes is the largest file whose pages are all checked by Open.
	// In a larger one only what Open needs is, and a page that leads in a circle
	// could end the process inside bbolt. Default 4 GiB, some 25 million records:
	// 256 MiB take about a third of a second.
	CheckBytes int64
	// Off keeps nothing: whatever is to be recorded is dropped at once, and what
	// was recorded before stays as it is. It is how the cost of a journal is
	// measured, and for nothing else: such a run can't be resumed.
	Off bool
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 300 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Interval <= 0 {
		o.Interval = 50 * time.Millisecond
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.CheckBytes <= 0 {
		o.CheckBytes = 4 << 30
	}
	return o
}

// Damage is what Open found wrong, and what was lost on the way since.
type Damage struct {
	SetAside string // where the damaged file is now; "" when single values were dropped from a whole one
	Kept     int    // records and uploads carried over into the new file
	Dropped  int    // values whose checksum was wrong: they count as absent
	Err      error  // what was wrong with the file; nil when SetAside is ""
}
