package s3store

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// unreadable is a file of which nothing has to be read.
type unreadable struct{ t *testing.T }

func (u unreadable) ReadAt(_ []byte, off int64) (int, error) {
	u.t.Errorf("it is read at %d", off)
	return 0, io.EOF
}

// sentBefore is the input of a file of size bytes, all parts of which an earlier
// run has sent.
func (r *rig) sentBefore(t *testing.T, key string, size int64) (in transfer.PutInput, parts int) {
	t.Helper()
	j := &storetest.Journal{}
	in = r.in(key, nil, j)
	in.Item.Stat.Size, in.Body = size, unreadable{t}
	up := transfer.Upload{Key: key, ID: "before", Stat: in.Item.Stat, PartSize: r.PartSize(size)}
	for off := int64(0); off < size; off += up.PartSize {
		n := int32(len(up.Parts) + 1)
		up.Parts = append(up.Parts, transfer.Part{Number: n, Size: min(up.PartSize, size-off), ETag: `"e"`, CRC64: uint64(n)})
	}
	if err := j.Begin(up); err != nil {
		t.Fatal(err)
	}
	return in, len(up.Parts)
}

// completing answers CompleteMultipartUpload, and that the object is there, and keeps
// what it was asked.
type completing struct {
	refuse string // by this code; "" for not at all
	lists  int    // the status by which ListParts is refused; 0 is 501
	asked  []completed
	sums   []string
}

type completed struct {
	Parts []struct {
		PartNumber        int
		ChecksumCRC64NVME string
	} `xml:"Part"`
}

func (c *completing) Do(req *http.Request) (*http.Response, error) {
	switch op := storetest.OpOf(req); op {
	case opParts:
		return refusal(req, cmp.Or(c.lists, http.StatusNotImplemented), "NotImplemented"), nil
	case opHead:
		resp := storetest.Response(req, http.StatusOK, "", "")
		resp.Header.Set("ETag", `"m-1"`)
		return resp, nil
	case opComplete:
	default:
		return nil, errors.New("a request that is not needed: " + op)
	}
	if c.refuse != "" {
		return refusal(req, 400, c.refuse), nil
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var asked completed
	if err := xml.Unmarshal(b, &asked); err != nil {
		return nil, err
	}
	c.asked = append(c.asked, asked)
	c.sums = append(c.sums, req.Header.Get("x-amz-checksum-crc64nvme"))
	return good(req, "<CompleteMultipartUploadResult><ETag>&quot;m-1&quot;</ETag></CompleteMultipartUploadResult>"), nil
}

// TestLargestObject proves that the most parts that S3 takes, of the least and of
// the greatest size, become one object, and that none of them is read or sent again
// after a crash.
func TestLargestObject(t *testing.T) {
	for name, size := range map[string]int64{
		"10,000 parts of 5 MiB": MinPartSize*MaxParts - 1, "10,000 parts of 5 GiB": MaxObject, "less by a byte": MaxObject - 1, "5 TiB": 5 << 40,
	} {
		s3 := &completing{}
		r := newRig(func(o *Options) { o.HTTP, o.FirstPatience = s3, time.Nanosecond }) // what is not answered fails at once
		in, parts := r.sentBefore(t, "k", size)
		out, err := r.Put(t.Context(), in)
		if err != nil || len(s3.asked) != 1 {
			t.Errorf("%s: %v, completed %d times", name, err, len(s3.asked))
			continue
		}
		got := s3.asked[0].Parts
		if len(got) != parts || parts > MaxParts || strings.HasPrefix(name, "10,000") && parts != MaxParts {
			t.Errorf("%s: completed with %d parts of %d", name, len(got), parts)
		}
		for i, p := range got {
			if p.PartNumber != i+1 || p.ChecksumCRC64NVME != checksum.Encode64(uint64(i+1)) {
				t.Fatalf("%s: part %d is %+v", name, i, p)
			}
		}
		if s3.sums[0] != checksum.Encode64(out.CRC64) {
			t.Errorf("%s: the whole has the checksum %s, and %x is told", name, s3.sums[0], out.CRC64)
		}
	}
}

// TestFileThatNeedsMoreParts proves that a file which would need part 10,001 is
// begun with larger parts, whatever size was asked for.
func TestFileThatNeedsMoreParts(t *testing.T) {
	r := newRig(func(o *Options) { o.Parallel = 1 })
	r.faults.On(0, storetest.Op(opPart), storetest.Refuse(400, "EntityTooLarge"))
	j := &storetest.Journal{}
	in := r.in("k", nil, j)
	in.Item.Stat.Size = 60 << 30
	in.Body = holes{}
	if _, err := r.Put(t.Context(), in); !isCode(err, "EntityTooLarge") {
		t.Error(err)
	}
	up, open, _ := j.Upload("k")
	if !open || up.PartSize != 7<<20 {
		t.Errorf("open: %v, with parts of %d bytes", open, up.PartSize)
	}
}

type holes struct{}

func (holes) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestStoreThatTakesLess proves that an object which is larger than a store takes
// fails by that name, and that its parts are kept: they are not sent again by each
// run that tries.
func TestStoreThatTakesLess(t *testing.T) {
	s3 := &completing{refuse: "EntityTooLarge"}
	r := newRig(func(o *Options) { o.HTTP, o.FirstPatience = s3, time.Nanosecond })
	in, parts := r.sentBefore(t, "k", 6<<40)
	for range 2 {
		_, err := r.Put(t.Context(), in)
		var e *transfer.Error
		if !isCode(err, "EntityTooLarge") || !errors.As(err, &e) || e.Key != "k" || transfer.Fatal(err) {
			t.Errorf("it ends with %v", err)
		}
		up, open, _ := in.Journal.Upload("k")
		if !open || up.ID != "before" || len(up.Parts) != parts {
			t.Errorf("open: %v, %d parts of %d", open, len(up.Parts), parts)
		}
	}
}

// TestNoListPartsAtAll proves that a store which has no ListParts, and says so to the
// first request of a run, is no reason to end it: the journal does.
func TestNoListPartsAtAll(t *testing.T) {
	for _, status := range []int{http.StatusNotImplemented, http.StatusMethodNotAllowed, http.StatusForbidden} {
		s3 := &completing{lists: status}
		r := newRig(func(o *Options) { o.HTTP = s3 })
		in, parts := r.sentBefore(t, "k", 3*MinPartSize)
		if _, err := r.Put(t.Context(), in); err != nil || len(s3.asked) != 1 || len(s3.asked[0].Parts) != parts {
			t.Errorf("%d: %v, completed %d times", status, err, len(s3.asked))
		}
	}
}
