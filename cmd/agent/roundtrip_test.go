//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestUploadRoundTrip proves that what is uploaded is what lies in the store:
// every name that a file system allows, every size from nothing to several
// parts, over http and https, with the rights of the platform's role and with
// all rights.
func TestUploadRoundTrip(t *testing.T) {
	t.Parallel()
	const sparse = 24 << 20
	files := awkward().and(tree{"empty": {}, "deep/empty.txt": {}}).
		with("parts.tif", 17<<20+5).with("one-part.bin", 16<<20).with("just-over.bin", 16<<20+1).
		with("item.geojson", 10).with("cube.nc", 11)
	dir := files.write(t)
	hole, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hole.WriteAt([]byte("end"), sparse-3); err != nil {
		t.Fatal(err)
	}
	if err := hole.Close(); err != nil {
		t.Fatal(err)
	}
	files["sparse"] = append(make([]byte, sparse-3), "end"...)

	for name, flags := range map[string][]string{
		"http, role platform": {"-role", "platform"},
		"https, role full":    {"-role", "full", "-tls"},
		"https, 404":          {"-role", "platform", "-tls", "-missing", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, flags...).withToken()
			r.upload(0, dir)
			r.holds(files)
			contentTypes(t, r)
		})
	}
}

func contentTypes(t *testing.T, r *rig) {
	t.Helper()
	for key, want := range map[string]string{
		"parts.tif": "image/tiff", "item.geojson": "application/geo+json", "cube.nc": "application/netcdf",
		"a.txt": "text/plain", "empty": "application/octet-stream", ".config/settings.json": "application/json",
	} {
		o, err := r.witness.StatObject(context.Background(), r.sb.Bucket(), r.prefix+key, minio.StatObjectOptions{})
		if err != nil || o.ContentType != want {
			t.Errorf("%s: content type %q, %v; want %q", key, o.ContentType, err, want)
		}
	}
}
