package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// said is a store that gives the same answer to everything.
type said struct {
	status int
	kind   string
	header map[string]string
	body   string
	asked  int
	most   int // requests before it refuses; 0 is 1,000
}

func (s *said) Do(req *http.Request) (*http.Response, error) {
	if s.asked++; s.asked > max(s.most, 1000) {
		return refusal(req, 400, "InvalidRequest"), nil
	}
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	resp := storetest.Response(req, s.status, s.kind, s.body)
	for k, v := range s.header {
		resp.Header[http.CanonicalHeaderKey(k)] = []string{v}
	}
	return resp, nil
}

// saying is a rig in which nothing is waited for.
func saying(s *said) *rig {
	return newRig(func(o *Options) {
		o.HTTP, o.FirstPatience, o.Seed = s, time.Nanosecond, func() float64 { return 0 }
		o.Credentials, o.KeyPatience = noMore{o.Credentials.(*keys)}, time.Nanosecond
	})
}

// noMore are keys in whose place no others come.
type noMore struct{ *keys }

func (n noMore) Wait(ctx context.Context) (aws.Credentials, error) { return n.Retrieve(ctx) }

// FuzzListing: whatever a store calls a page, the listing ends, and yields only
// keys that were asked for, in order where that is promised, of sizes that
// objects have.
func FuzzListing(f *testing.F) {
	const head = "<ListBucketResult><Name>b</Name>"
	for _, s := range []string{
		head + entry("p/a") + entry("p/b") + "</ListBucketResult>",
		head + "<EncodingType>url</EncodingType>" + entry("p/a b") + entry("p/%") + "<CommonPrefixes><Prefix>p/c%2f</Prefix></CommonPrefixes></ListBucketResult>",
		head + "<EncodingType>url</EncodingType><Contents><Key>%zz</Key></Contents></ListBucketResult>",
		head + entry("p/../../etc/passwd") + entry("/etc") + "</ListBucketResult>",
		head + "<Contents><Key>p/a</Key><Size>-1</Size><LastModified>yesterday</LastModified></Contents></ListBucketResult>",
		head + "<Contents><Key>p/\u009b31m</Key><Size>99999999999999999999</Size></Contents></ListBucketResult>",
		head + "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
		head + strings.Repeat("<a>", 40) + "</ListBucketResult>", "<html><body><br>", "", "\xff\xfe<", "<ListBucketResult/>",
		"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult><Name>&a;</Name></ListBucketResult>",
	} {
		f.Add(s, "p/", "")
		f.Add(s, "", "p/a")
	}
	f.Fuzz(func(t *testing.T, body, prefix, after string) {
		r := saying(&said{status: 200, kind: "application/xml", body: body})
		ctx := t.Context()
		before := after
		for obj, err := range r.List(ctx, prefix, after) {
			if err != nil {
				continue
			}
			if !strings.HasPrefix(obj.Key, prefix) || obj.Key <= before || obj.Size < 0 || obj.Size > mostSize {
				t.Errorf("%+v behind %q, of %q", obj, before, prefix)
			}
			before = obj.Key
		}
		for _, list := range []func(func(transfer.Object, error) bool){r.ListDir(ctx, prefix), r.ListAny(ctx, prefix)} {
			n := 0
			for obj, err := range list {
				if n++; err == nil && (!strings.HasPrefix(obj.Key, prefix) || obj.Key == "" || obj.Size < 0) {
					t.Errorf("%+v of %q", obj, prefix)
				}
			}
			if n > 2*len(body)+1 {
				t.Errorf("%d entries of %d bytes", n, len(body))
			}
		}
		names, _ := r.Children(ctx, prefix)
		for _, name := range names {
			if !strings.HasPrefix(prefix[:strings.LastIndexByte(prefix, '/')+1]+name, prefix) {
				t.Errorf("child %q of %q", name, prefix)
			}
		}
	})
}

// FuzzRefusal: whatever a store says besides success, no request of it succeeds,
// and little of its words is kept.
func FuzzRefusal(f *testing.F) {
	for _, s := range []string{
		"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", "<Error><Code>ExpiredToken</Code></Error>",
		"<Error><Code>NoSuchKey</Code></Error>", "<Error><Code>NoSuchUpload</Code>", "<Error><Code>SlowDown</Code><Message>\u009b2J\u202e</Message></Error>",
		"<Error><Code>InvalidArgument</Code></Error>", "<Error><Code>PermanentRedirect</Code><Endpoint>evil.example</Endpoint></Error>",
		"<html>", "", "{}", "\x1b[2J", "<Error>" + strings.Repeat("<Code>", 300),
	} {
		for _, status := range []int{301, 307, 400, 403, 404, 412, 501, 503} {
			f.Add(status, "application/xml", "id\x1b[31m", s)
		}
	}
	f.Fuzz(func(t *testing.T, status int, kind, id, body string) {
		if status < 300 || status > 599 {
			t.Skip("no refusal")
		}
		check := func(op string, err error) {
			if err == nil {
				t.Errorf("%s is taken for done", op)
				return
			}
			var fault *Fault
			if errors.As(err, &fault) && (len(fault.Code) > longestCode+3 || len(fault.Message) > longestMessage+3 || len(fault.RequestID) > longestID+3) {
				t.Errorf("%s: much is kept of it: %d, %d, %d bytes", op, len(fault.Code), len(fault.Message), len(fault.RequestID))
			}
		}
		for op, do := range map[string]func(*rig) error{
			opPut:    func(r *rig) error { _, err := r.put(t, "k", []byte("body")); return err },
			opCreate: func(r *rig) error { _, err := r.Put(t.Context(), r.in("k", fuzzBody, nil)); return err },
			opHead:   func(r *rig) error { _, err := r.Stat(t.Context(), "k"); return err },
			opList:   func(r *rig) error { return last(r.List(t.Context(), "p/", "")) },
			opGet:    func(r *rig) error { _, _, err := r.get(t, transfer.GetInput{Size: 9}); return err },
			"Inspect": func(r *rig) error {
				_, err := r.Inspect(t.Context(), "k")
				return err
			},
			opDelete: func(r *rig) error {
				err := r.Delete(t.Context(), "k")
				if err == nil && status == http.StatusNotFound {
					return transfer.ErrNotExist // that is what was wanted
				}
				return err
			},
		} {
			r := saying(&said{status: status, kind: kind, body: body, header: map[string]string{"X-Amz-Request-Id": id, "Etag": `"e"`}})
			check(op, do(r))
		}
	})
}

var fuzzBody = make([]byte, MinPartSize+1)

// FuzzParts: whatever a store says of an upload's parts, only those are taken
// over that the file has, and whose bytes have their checksum.
func FuzzParts(f *testing.F) {
	part := func(n, size, sum string) string {
		return "<Part><PartNumber>" + n + "</PartNumber><Size>" + size + "</Size><ETag>e</ETag><ChecksumCRC64NVME>" + sum + "</ChecksumCRC64NVME></Part>"
	}
	for _, s := range []string{
		part("1", "5242880", "AAAAAAAAAAA="), part("2", "1", "AAAAAAAAAAA="), part("0", "5242880", "AAAAAAAAAAA="), part("-1", "-1", ""),
		part("3", "0", "AAAAAAAAAAA="), "<IsTruncated>true</IsTruncated><NextPartNumberMarker>x</NextPartNumberMarker>", "", "<Part>",
	} {
		f.Add("<ListPartsResult><UploadId>u</UploadId>"+s+"</ListPartsResult>", 200)
	}
	f.Add("<Error><Code>NoSuchUpload</Code></Error>", 404)
	f.Fuzz(func(t *testing.T, body string, status int) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		r := saying(&said{status: status, kind: "application/xml", body: body})
		in := r.in("k", fuzzBody, &storetest.Journal{})
		up := transfer.Upload{Key: "k", ID: "u", Stat: in.Item.Stat, PartSize: MinPartSize}
		if err := in.Journal.Begin(up); err != nil {
			t.Fatal(err)
		}
		_, done, _ := r.witness(t.Context(), &in, &up)
		if done {
			t.Error("an upload without a part is taken for completed")
		}
		seen := map[int32]bool{}
		for _, p := range up.Parts {
			want := int64(MinPartSize)
			if p.Number == 2 {
				want = 1
			}
			if p.Number < 1 || p.Number > 2 || seen[p.Number] || p.Size != want {
				t.Errorf("part %+v", p)
			}
			seen[p.Number] = true
		}
	})
}

// FuzzHeaders: whatever the header of an object's answer says, a fetch takes the
// right bytes of the right object or fails, and times can be told to a disk.
func FuzzHeaders(f *testing.F) {
	for _, s := range [][4]string{
		{`"e"`, "bytes 0-9/10", "1700000000.25", "AAAAAAAAAAA="}, {`"e"`, "bytes 0-9/10", "99999999999999", ""}, {"", "", "", ""},
		{`"e`, "bytes -1-9/10", "1.-5", "="}, {"\x1b[2J", "bytes 00-", "-9223372036.9", "\xff"}, {`"e-99999999999"`, "items 0-9", "0x1", "a-3"},
	} {
		f.Add(s[0], s[1], s[2], s[3], "Mon, 30 Feb 2026 25:00:00 GMT", "COMPOSITE", "0123456789")
	}
	f.Fuzz(func(t *testing.T, etag, rng, mtime, sum, date, kind, body string) {
		r := saying(&said{status: 206, kind: "binary/octet-stream", body: body, header: map[string]string{
			"ETag": etag, "Content-Range": rng, "X-Amz-Meta-Mtime": mtime, "X-Amz-Checksum-Crc64nvme": sum, "Last-Modified": date,
			"X-Amz-Checksum-Type": kind, "Content-Length": fmt.Sprint(len(body)), "Date": date,
		}})
		for _, in := range []transfer.GetInput{{Size: 10, ETag: `"e"`}, {Size: 10, ETag: `"e"`, Whole: true}} {
			out, got, err := r.get(t, in)
			if err == nil && (string(got) != body || bare(etag) != "e") {
				t.Errorf("%q of %q is taken for it", got, etag)
			}
			sane(t, out.MTime)
		}
		if obj, err := r.Stat(t.Context(), "k"); err == nil {
			sane(t, obj.MTime)
			if obj.Size < 0 || obj.ETag == "" {
				t.Errorf("%+v", obj)
			}
		}
		st, err := r.Inspect(t.Context(), "k")
		if err == nil && (st.Parts < 0 || st.Parts > MaxParts || st.PartSize < 0) {
			t.Errorf("%+v", st)
		}
	})
}

// sane wants a time that survives being nanoseconds since 1970.
func sane(t *testing.T, at time.Time) {
	t.Helper()
	if !at.IsZero() && !time.Unix(0, at.UnixNano()).Equal(at) {
		t.Errorf("%v is no time of a file", at)
	}
}

// FuzzAnswer: bounding an answer changes nothing of one that is within bounds,
// however it arrives, and passes on no more than the bound of one that is not.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("<a><b/></a>"), 3, true)
	f.Add([]byte(strings.Repeat("<a>", 40)), 1, true)
	f.Add(bytes.Repeat([]byte("a"), longestRefusal+1), 4096, false)
	f.Fuzz(func(t *testing.T, text []byte, piece int, good bool) {
		status := 500
		if good {
			status = 200
		}
		client := bounded{doer(func(req *http.Request) (*http.Response, error) {
			resp := storetest.Response(req, status, "", "")
			resp.Body = io.NopCloser(inBites{bytes.NewReader(text), max(piece%5000, 1)})
			return resp, nil
		}), readStall}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://s3.test/", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if cerr := resp.Body.Close(); cerr != nil {
			t.Fatal(cerr)
		}
		var whole nest
		deep := good && whole.deeper(text, deepestAnswer)
		switch {
		case !bytes.HasPrefix(text, got):
			t.Errorf("other bytes")
		case good && !deep && opened(text) > deepestAnswer:
			t.Errorf("a parser opens %d elements", opened(text))
		case deep:
			if !errors.Is(err, errDeepAnswer) {
				t.Errorf("deep: %v", err)
			}
		case good && len(text) > longestAnswer:
			if !errors.Is(err, errLongAnswer) {
				t.Errorf("long: %v", err)
			}
		case err != nil:
			t.Error(err)
		case len(got) != len(text) && (good || len(got) != longestRefusal):
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
	})
}

// inBites hands on at most n bytes at once.
type inBites struct {
	r io.Reader
	n int
}

func (p inBites) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }
