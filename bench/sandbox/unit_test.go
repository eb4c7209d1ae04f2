package main

import (
	"errors"
	"testing"
	"time"
)

func TestByteRate(t *testing.T) {
	for text, want := range map[string]byteRate{
		"20MB": 20_000_000, "20MiB": 20 << 20, "1.5 kB/s": 1500, "64k": 64_000, "300": 300, "300B": 300, "1GiB": 1 << 30,
	} {
		var got byteRate
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1", "0", "fast", "1e99", "nan"} {
		var got byteRate
		if got.Set(text) == nil {
			t.Errorf("%q taken as %d", text, got)
		}
	}
}

func TestOperation(t *testing.T) {
	for _, tc := range []struct{ method, uri, want string }{
		{"GET", "/", "ListBuckets"},
		{"GET", "/b?list-type=2&prefix=x", "ListObjectsV2"},
		{"GET", "/b/?prefix=x", "ListObjects"},
		{"GET", "/b?location=", "GetBucketLocation"},
		{"GET", "/b?uploads", "ListMultipartUploads"},
		{"HEAD", "/b", "HeadBucket"},
		{"POST", "/b?delete", "DeleteObjects"},
		{"PUT", "/b/k", "PutObject"},
		{"PUT", "/b/k?partNumber=3&uploadId=u", "UploadPart"},
		{"POST", "/b/k?uploads=", "CreateMultipartUpload"},
		{"POST", "/b/k?uploadId=u", "CompleteMultipartUpload"},
		{"DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"},
		{"GET", "/b/k?uploadId=u", "ListParts"},
		{"HEAD", "/b/k", "HeadObject"},
		{"GET", "/b/k?tagging", "GetObjectTagging"},
	} {
		if got := operation(tc.method, tc.uri, false).name; got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.method, tc.uri, got, tc.want)
		}
	}
	c := operation("PUT", "/b/d%C3%A9/x%20y?partNumber=12&uploadId=u%2F1&X-Amz-Signature=s&X-Amz-Security-Token=t", false)
	if c.key != "dé/x y" || c.part != 12 || c.uploadID != "u/1" || c.query != "partNumber=12&uploadId=u%2F1" {
		t.Errorf("%+v", c)
	}
}

func TestSession(t *testing.T) {
	i := issuer{seed: seed("s"), life: time.Hour}
	s := i.mint("ws")
	if got, err := i.verify(s.access, s.token); err != nil || got != s {
		t.Errorf("%+v %v, want %+v", got, err, s)
	}
	other := issuer{seed: seed("other"), life: time.Hour}
	if _, err := other.verify(s.access, s.token); !errors.Is(err, errUnknownKey) {
		t.Errorf("under another seed: %v", err)
	}
	late := i
	late.clock.offset = time.Hour + time.Second
	if _, err := late.verify(s.access, s.token); !errors.Is(err, errExpiredToken) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := late.ignoringExpiry().verify(s.access, s.token); err != nil {
		t.Errorf("of any age: %v", err)
	}
}

func FuzzOperation(f *testing.F) {
	f.Add("PUT", "/b/k?partNumber=3&uploadId=u")
	f.Add("GET", "/%zz?&&=")
	f.Fuzz(func(t *testing.T, method, uri string) {
		if c := operation(method, uri, false); len(c.query) > len(uri) {
			t.Errorf("%q grew from %q", c.query, uri)
		}
	})
}
