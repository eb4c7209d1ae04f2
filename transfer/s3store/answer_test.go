package s3store

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"agent/transfer"
	"agent/transfer/storetest"
)

// big is a body of three parts.
func big() []byte { return bytes.Repeat([]byte("0123456789abcdef"), (2*MinPartSize+1600)/16) }

// wellFormed answers a page that is XML, too: no decoder finds anything wrong with it.
func wellFormed(contentType string) storetest.Fault {
	return storetest.Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		return storetest.Response(r, http.StatusOK, contentType, "<html><body><p>Please log in.</p></body></html>"), nil
	}}
}

// What is not S3's answer is trouble on the way, for every operation of a put.
func TestAnswersThatAreNotS3s(t *testing.T) {
	for _, op := range []string{opPut, opCreate, opPart, opComplete} {
		for name, fault := range map[string]storetest.Fault{
			"html": storetest.HTML(), "xhtml": wellFormed("text/html"), "another's xml": wellFormed("application/xml"), "no etag": storetest.Header("ETag", ""), "garbage": storetest.Garbage(),
			"reset": storetest.Reset(false), "503": storetest.Refuse(503, ""), "lost": storetest.Reset(true),
			"200 with an error": storetest.Refuse(200, "InternalError"),
		} {
			t.Run(op+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(nil)
					r.faults.On(1, storetest.Op(op), fault)
					body := big()
					if op == opPut {
						body = body[:1000]
					}
					r.mustPut(t, "k", body)
					if _, sum := r.told(transfer.Moved); sum != int64(len(body)) {
						t.Errorf("%d bytes moved in the end, of %d", sum, len(body))
					}
				})
			})
		}
	}
}

// TestAnswersThatNameNothing proves that a well-formed yes in which S3's words are missing,
// the id of the upload or the object's ETag, is none: nothing came of it, and it is
// asked for again.
func TestAnswersThatNameNothing(t *testing.T) {
	for op, root := range map[string]string{opCreate: "InitiateMultipartUploadResult", opComplete: "CompleteMultipartUploadResult"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				r.faults.On(1, storetest.Op(op), storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
					return good(req, "<"+root+"><Bucket>b</Bucket><Key>k</Key></"+root+">"), nil
				}})
				if out := r.mustPut(t, "k", big()); out.ETag == "" || !out.Verified {
					t.Errorf("%+v", out)
				}
				if n, _ := r.told(transfer.Retry); n != 1 || r.s3.count(op) != 1 {
					t.Errorf("%d retries, %d came to the store", n, r.s3.count(op))
				}
			})
		})
	}
}

// TestUploadThatIsGoneUnseen proves that an upload which the store knows no more is sent
// again where nobody may look whether its object is there: a denied look is no proof
// that it was completed.
func TestUploadThatIsGoneUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(0, storetest.Op(opHead), storetest.Refuse(403, "AccessDenied"))
		r.faults.On(0, storetest.Op(opList), storetest.Refuse(403, "AccessDenied"))
		r.faults.On(1, storetest.Op(opComplete), storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			clear(r.s3.uploads) // as a rule of the bucket would
			return refusal(req, 404, "NoSuchUpload"), nil
		}})
		body := big()
		r.mustPut(t, "k", body)
		if n := r.s3.count(opPart); n != 6 {
			t.Errorf("%d parts were sent, of 3 twice", n)
		}
		if !slices.Contains(r.texts(transfer.Notice), "whether it is complete may not be asked here: it is sent again") {
			t.Errorf("told: %q", r.texts(transfer.Notice))
		}
		if _, sum := r.told(transfer.Moved); sum != int64(len(body)) {
			t.Errorf("%d bytes moved in the end, of %d", sum, len(body))
		}
	})
}

func TestWrongSumInTheAnswer(t *testing.T) {
	for _, tt := range []struct{ times, want int }{{1, 2}, {maxCorrupt, maxCorrupt + 1}, {100, maxCorrupt + 1}} {
		t.Run(fmt.Sprint(tt.times), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				for n := range tt.times {
					r.faults.On(n+1, nil, storetest.Header("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="))
				}
				out, err := r.put(t, "k", []byte("body"))
				if failed := tt.times > maxCorrupt; failed != errors.Is(err, errBadAnswer) || failed == (err == nil) || failed == out.Verified {
					t.Errorf("%+v, %v", out, err)
				}
				if n := r.s3.count(opPut); n != tt.want {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

func TestAnswerWithoutASumVerifiesNothing(t *testing.T) {
	r := newRig(nil)
	r.s3.noSums = true
	if out := r.mustPut(t, "k", []byte("body")); out.Verified {
		t.Error("verified by what?")
	}
}

func TestChecksumStepsDown(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses []string
		want    transfer.Checksum
	}{
		{"one", []string{"nvme"}, transfer.CRC32C},
		{"all", []string{"nvme", "crc32c"}, transfer.NoChecksum},
	} {
		for _, size := range []int{10, 2*MinPartSize + 1600} {
			t.Run(fmt.Sprint(tt.name, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(nil)
					r.faults.On(0, func(req *http.Request) bool {
						return slices.ContainsFunc(tt.refuses, func(s string) bool {
							h := strings.ToLower(fmt.Sprint(req.Header))
							return strings.Contains(h, "x-amz-checksum-"+s) || strings.Contains(h, "x-amz-checksum-crc64"+s) ||
								strings.Contains(h, "algorithm:[crc64"+s) || strings.Contains(h, "algorithm:["+s)
						})
					}, storetest.Refuse(400, "InvalidArgument"))
					r.mustPut(t, "k", big()[:size])
					if r.Checksum() != tt.want {
						t.Errorf("in use: %v", r.Checksum())
					}
					if n, _ := r.told(transfer.Notice); n != len(tt.refuses) {
						t.Errorf("%d notices", n)
					}
				})
			})
		}
	}
}

func TestChecksumStaysOnceProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		r.faults.On(0, nil, storetest.Refuse(400, "InvalidRequest"))
		if _, err := r.put(t, "k", nil); err == nil || r.Checksum() != transfer.CRC64NVME {
			t.Errorf("%v, in use: %v", err, r.Checksum())
		}
	})
}

// page answers a listing.
func page(xml string) storetest.Fault {
	return storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
		return good(req, "<ListBucketResult>"+xml+"</ListBucketResult>"), nil
	}}
}

func entry(key string) string {
	return "<Contents><Key>" + url.QueryEscape(key) + "</Key><Size>1</Size><ETag>e</ETag></Contents>"
}

func TestListings(t *testing.T) {
	const head, more = "<Name>b</Name>", "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>"
	const escaped = "<EncodingType>url</EncodingType>"
	for _, tt := range []struct {
		name  string
		after string
		pages []string
		want  []string
		err   error
	}{
		{name: "empty", pages: []string{head}},
		{name: "pages", pages: []string{head + entry("a") + fmt.Sprintf(more, "t1"), head + fmt.Sprintf(more, "t2"), head + entry("b")}, want: []string{"a", "b"}},
		{name: "url-encoded", pages: []string{head + escaped + entry("a b") + entry("a+ü%") + entry("a/é&<")}, want: []string{"a b", "a+ü%", "a/é&<"}},
		{name: "plain", pages: []string{head + "<Contents><Key>a+%20b</Key></Contents>"}, want: []string{"a+%20b"}},
		{name: "unsorted", pages: []string{head + entry("b") + entry("a")}, want: []string{"b"}, err: transfer.ErrUnsorted},
		{name: "twice", pages: []string{head + entry("b") + entry("b")}, want: []string{"b"}, err: transfer.ErrUnsorted},
		{name: "before where it was to begin", after: "m", pages: []string{head + entry("a")}, err: transfer.ErrUnsorted},
		{name: "no token", pages: []string{head + entry("a") + "<IsTruncated>true</IsTruncated>"}, want: []string{"a"}, err: errEndless},
		{name: "the same token", pages: []string{head + entry("a") + fmt.Sprintf(more, "t"), head + fmt.Sprintf(more, "t")}, want: []string{"a"}, err: errEndless},
		{name: "not a listing", pages: []string{"", head + entry("a")}, want: []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				for n, xml := range tt.pages {
					r.faults.On(n+1, nil, page(xml))
				}
				var got []string
				var last error
				for obj, err := range r.List(t.Context(), "", tt.after) {
					if last = err; err == nil {
						got = append(got, obj.Key)
					}
				}
				if !slices.Equal(got, tt.want) || !errors.Is(last, tt.err) {
					t.Errorf("%q, %v", got, last)
				}
			})
		})
	}
}

func TestPortalIsNoEmptyListing(t *testing.T) {
	for _, page := range []storetest.Fault{storetest.HTML(), wellFormed("text/html")} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(nil)
			r.faults.On(0, nil, page)
			var last error
			for _, err := range r.List(t.Context(), "", "") {
				last = err
			}
			if !errors.Is(last, transfer.ErrUnreachable) {
				t.Errorf("the page was taken for a listing: %v", last)
			}
		})
	}
}
