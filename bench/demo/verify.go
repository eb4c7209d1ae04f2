package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
)

// unit is what is sent by one request: a part, or a small file (part 0).
type unit struct {
	key, upload string
	part        int
}

// units are what was sent, with their sizes.
type units map[unit]int64

func unitOf(q platform.Request) (unit, bool) {
	ok := q.Op == "UploadPart" || q.Op == "PutObject"
	return unit{q.Key, q.UploadID, q.Part}, ok
}

// safe are the units that the server has acknowledged.
func safe(all []platform.Request) units {
	found := units{}
	for _, q := range all {
		if u, ok := unitOf(q); ok && q.Status == 200 {
			found[u] = q.Bytes
		}
	}
	return found
}

func (all units) sum() (bytes int64, parts, objects int) {
	for u, n := range all {
		bytes += n
		if u.part > 0 {
			parts++
		} else {
			objects++
		}
	}
	return bytes, parts, objects
}

// report tells by the server's log what the kill and the tokens cost.
func (d *demo) report(killed time.Time) error {
	all, err := d.sb.Requests()
	if err != nil {
		return err
	}
	var before []platform.Request
	tokens, refused, sent := map[string]bool{}, 0, int64(0)
	for _, q := range all {
		if q.Status == 200 && q.AccessKey != "" {
			tokens[q.AccessKey] = true
		}
		if q.Code == "ExpiredToken" {
			refused++
		}
		if _, ok := unitOf(q); ok {
			sent += q.Bytes
		}
		if q.Time.Before(killed) {
			before = append(before, q)
		}
	}
	kept := safe(before)
	for _, q := range all {
		if u, ok := unitOf(q); ok && q.Start.After(killed) {
			delete(kept, u)
		}
	}
	bytes, parts, objects := kept.sum()
	d.say("not sent    again: %s, %d parts and %d small files", mb(bytes), parts, objects)
	d.say("tokens      %d were used; %d requests came with a dead one and were repeated, no file failed", len(tokens), refused)
	d.say("bytes sent  %.3f × the bytes of the data", float64(sent)/float64(d.dataset.bytes))
	if parts == 0 || len(tokens) < 2 {
		return errors.New("nothing was resumed, or no token died: that proves nothing")
	}
	return nil
}

// verify compares every object with its file, and looks for objects that
// nobody sent.
func (d *demo) verify(ctx context.Context) (int, error) {
	client, err := d.sb.Witness()
	if err != nil {
		return 0, err
	}
	prefix := d.sb.Workspace() + "/demo/"
	stored := map[string]bool{}
	for o := range client.ListObjects(ctx, d.sb.Bucket(), minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return 0, o.Err
		}
		stored[strings.TrimPrefix(o.Key, prefix)] = true
	}
	n := 0
	err = filepath.WalkDir(d.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.data, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !stored[name] {
			return fmt.Errorf("%s is not in the store", name)
		}
		n++
		return compare(ctx, client, d.sb.Bucket(), prefix+name, path)
	})
	if err == nil && n != len(stored) {
		err = fmt.Errorf("the store has %d objects for %d files", len(stored), n)
	}
	return n, err
}

func compare(ctx context.Context, client *minio.Client, bucket, key, path string) error {
	want, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	o, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer o.Close() //nolint:errcheck // it was only read
	got, err := io.ReadAll(o)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: what is stored is not what the file has", key)
	}
	return nil
}
