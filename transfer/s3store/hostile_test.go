package s3store

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// flood is a body without an end: first, and then unit again and again.
type flood struct {
	first, unit string
	read        atomic.Int64
	closed      atomic.Bool
}

func (f *flood) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		at := f.read.Load()
		rest := f.unit
		if at < int64(len(f.first)) {
			rest = f.first[at:]
		} else {
			rest = rest[(at-int64(len(f.first)))%int64(len(f.unit)):]
		}
		k := copy(p[n:], rest)
		n += k
		f.read.Add(int64(k))
	}
	return n, nil
}

func (f *flood) Close() error {
	f.closed.Store(true)
	return nil
}

// floods answers every request with a flood of its own; the floods are returned.
func floods(status int, first, unit string) (storetest.Fault, func() []*flood) {
	var all []*flood
	return storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
		resp := storetest.Response(req, status, "application/xml", "")
		f := &flood{first: first, unit: unit}
		all = append(all, f)
		resp.Body, resp.ContentLength = f, -1
		return resp, nil
	}}, func() []*flood { return all }
}

// brief makes the first trouble the last, so that nothing is tried again.
func brief(o *Options) { o.FirstPatience = time.Nanosecond }

// each calls every operation that reads an answer, and wants an error of it.
func (r *rig) each(t *testing.T, check func(op string, err error)) {
	t.Helper()
	ctx := t.Context()
	_, err := r.put(t, "k", []byte("body"))
	check(opPut, err)
	_, err = r.put(t, "big", big())
	check(opCreate, err)
	for name, list := range map[string]func() error{
		"List":     func() error { return last(r.List(ctx, "p/", "")) },
		"ListDir":  func() error { return last(r.ListDir(ctx, "p/")) },
		"ListAny":  func() error { return last(r.ListAny(ctx, "p/")) },
		"Children": func() error { _, err := r.Children(ctx, "p/"); return err },
		"Lookup":   func() error { _, err := r.Lookup(ctx, "p/x"); return err },
		"Delete":   func() error { return r.Delete(ctx, "k") },
	} {
		check(name, list())
	}
	_, _, err = r.get(t, transfer.GetInput{Size: 10, ETag: `"e"`})
	check(opGet, err)
}

// last is the error that a listing ends with; nil for one that ends well.
func last(list func(func(transfer.Object, error) bool)) (err error) {
	for _, err = range list {
	}
	return err
}

func TestRefusalWithoutEnd(t *testing.T) {
	for _, first := range []string{
		"<Error><Code>AccessDenied</Code><Message>", "<html>", "", "<Error><Code>", "<Error>" + strings.Repeat("<a>", 50),
	} {
		for _, status := range []int{400, 403, 404, 500, 503} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(brief)
				fault, all := floods(status, first, "aaaa ")
				r.faults.On(0, nil, fault)
				r.each(t, func(op string, err error) {
					if err == nil && (op != "Delete" || status != 404) {
						t.Errorf("%s of %q, %d: no error", op, first, status)
					}
					if err != nil && len(err.Error()) > 4*longestMessage {
						t.Errorf("%s: an error of %d bytes", op, len(err.Error()))
					}
				})
				for _, f := range all() {
					if n := f.read.Load(); n > longestRefusal+64<<10 || !f.closed.Load() {
						t.Fatalf("%d bytes of a refusal were read; closed: %v", n, f.closed.Load())
					}
				}
			})
		}
	}
}

func TestPageWithoutEnd(t *testing.T) {
	const head = "<ListBucketResult><Name>b</Name>"
	for name, unit := range map[string]string{
		"entries": "<Contents><Key>p/x</Key></Contents>", "nested": "<a>", "one name": "a",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(brief)
				fault, all := floods(200, head, unit)
				r.faults.On(0, storetest.Op(opList), fault)
				err := last(r.List(t.Context(), "p/", ""))
				var f *Fault
				if err == nil || !errors.As(err, &f) || !strings.Contains(err.Error(), "is this address an S3 store's") {
					t.Errorf("%v", err)
				}
				for _, f := range all() {
					n := f.read.Load()
					if n > longestAnswer+64<<10 || !f.closed.Load() {
						t.Fatalf("%d bytes of a page were read; closed: %v", n, f.closed.Load())
					}
					if name == "nested" && n > 64<<10 {
						t.Fatalf("%d bytes were read of elements in one another", n)
					}
				}
			})
		})
	}
}

// A page may be long: the longest that S3 can make is taken.
func TestLongestPage(t *testing.T) {
	var page strings.Builder
	page.WriteString("<Name>b</Name><EncodingType>url</EncodingType>")
	for i := range 1000 {
		fmt.Fprintf(&page, "<Contents><Key>p/%s%04d</Key><Size>1</Size><ETag>&quot;%032x&quot;</ETag><Owner><ID>%064x</ID></Owner></Contents>",
			strings.Repeat("%F0%9F%8C%8D", 254), i, i, i)
	}
	r := newRig(nil)
	r.faults.On(0, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
		return good(req, "<ListBucketResult>"+page.String()+"</ListBucketResult>"), nil
	}})
	n := 0
	for obj, err := range r.List(t.Context(), "p/", "") {
		if err != nil || len(obj.Key) != 2+4*254+4 {
			t.Fatal(err, len(obj.Key))
		}
		n++
	}
	if n != 1000 {
		t.Errorf("%d entries", n)
	}
}

// An answer that stops in its middle is given up; the object's own bytes have a
// watch of their own.
func TestAnswerThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(1, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			resp := good(req, "")
			from, to := io.Pipe()
			go func() { _, _ = to.Write([]byte("<ListBucketResult><Name>b</Name>")) }()
			resp.Body = from
			return resp, nil
		}})
		began := time.Now()
		if err := last(r.List(t.Context(), "", "")); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d < readStall || d > 2*readStall {
			t.Errorf("it took %v", d)
		}
	})
}

// One that brings a byte now and then is given up, too.
func TestAnswerThatDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(1, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			resp := good(req, "")
			resp.Body = io.NopCloser(drip{})
			return resp, nil
		}})
		began := time.Now()
		if err := last(r.List(t.Context(), "", "")); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d < slowestAnswer || d > slowestAnswer+2*readStall {
			t.Errorf("it took %v", d)
		}
	})
}

type drip struct{}

func (drip) Read(p []byte) (int, error) {
	time.Sleep(readStall / 2)
	p[0] = ' '
	return 1, nil
}

// A listing that leads in a circle, or has nothing on page after page, ends.
func TestListingWithoutEnd(t *testing.T) {
	for name, c := range map[string]struct {
		token func(n int) string
		entry func(n int) string
		want  error
	}{
		"one token":     {func(int) string { return "t" }, func(int) string { return "" }, errEndless},
		"two in turn":   {func(n int) string { return fmt.Sprint(n % 2) }, func(n int) string { return entry("p/a") }, errEndless},
		"a wide circle": {func(n int) string { return fmt.Sprint(n % 700) }, func(n int) string { return entry("p/a") }, errEndless},
		"nothing":       {func(n int) string { return fmt.Sprint(n) }, func(int) string { return "" }, errBlank},
		"no token":      {func(n int) string { return "" }, func(n int) string { return entry("p/a") }, errEndless},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(nil)
			n := 0
			r.faults.On(0, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
				if n++; n > 4*mostBlank {
					t.Error("it is followed for ever")
					return refusal(req, 400, "InvalidRequest"), nil
				}
				return good(req, "<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>"+c.entry(n)+"<IsTruncated>true</IsTruncated><NextContinuationToken>"+
					c.token(n)+"</NextContinuationToken></ListBucketResult>"), nil
			}})
			for list, err := range map[string]error{"ListAny": last(r.ListAny(t.Context(), "p/")), "ListDir": last(r.ListDir(t.Context(), "p/"))} {
				if !errors.Is(err, c.want) || !errors.Is(err, ErrListing) {
					t.Errorf("%s: %v", list, err)
				}
			}
			if err := last(r.List(t.Context(), "p/", "")); !errors.Is(err, c.want) && !errors.Is(err, transfer.ErrUnsorted) {
				t.Errorf("List: %v", err)
			}
		})
	}
}

// A store that does not heed the prefix must not have what it lists deleted,
// fetched or taken for there.
func TestListingOfOtherKeys(t *testing.T) {
	for _, key := range []string{"q/a", "p", "/p/a", "", "../p/a", "p%2Fa"} {
		r := newRig(nil)
		r.faults.On(0, nil, page("<Name>b</Name>"+strings.ReplaceAll(entry("K"), ">K<", ">"+key+"<")+"<CommonPrefixes><Prefix>"+key+"</Prefix></CommonPrefixes>"))
		for name, list := range map[string]func(func(transfer.Object, error) bool){
			"List": r.List(t.Context(), "p/", ""), "ListDir": r.ListDir(t.Context(), "p/"), "ListAny": r.ListAny(t.Context(), "p/"),
		} {
			for obj, err := range list {
				if !errors.Is(err, errForeign) || obj.Key != "" {
					t.Errorf("%s of %q: %+v, %v", name, key, obj, err)
				}
			}
		}
		if names, err := r.Children(t.Context(), "p/"); !errors.Is(err, errForeign) {
			t.Errorf("Children: %q, %v", names, err)
		}
	}
}

func TestListingOfStrangeSizes(t *testing.T) {
	for _, size := range []string{"-1", "-9223372036854775808", "9223372036854775807"} {
		r := newRig(nil)
		r.faults.On(0, nil, page("<Name>b</Name><Contents><Key>a</Key><Size>"+size+"</Size></Contents>"))
		for obj, err := range r.List(t.Context(), "", "") {
			if !errors.Is(err, errSize) {
				t.Errorf("%s: %+v, %v", size, obj, err)
			}
		}
	}
}

// Parts that a file does not have are not taken for some of its.
func TestPartsThatAreNone(t *testing.T) {
	for name, parts := range map[string]string{
		"number 0":       "<Part><PartNumber>0</PartNumber><Size>5242880</Size><ETag>e</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>",
		"negative":       "<Part><PartNumber>-2147483648</PartNumber><Size>5242880</Size><ETag>e</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>",
		"behind the end": "<Part><PartNumber>4</PartNumber><Size>-5241280</Size><ETag>e</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>",
		"far behind":     "<Part><PartNumber>2147483647</PartNumber><Size>0</Size><ETag>e</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>",
		"a circle":       "<IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				j, body := &storetest.Journal{}, big()
				r.faults.On(2, storetest.Op(opPart), storetest.Refuse(400, "EntityTooLarge"))
				if _, err := r.Put(t.Context(), r.in("k", body, j)); err == nil {
					t.Fatal("it did not stop")
				}
				r.faults.Clear()
				r.faults.On(0, storetest.Op(opParts), storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
					return good(req, "<ListPartsResult><UploadId>"+req.URL.Query().Get("uploadId")+"</UploadId>"+parts+"</ListPartsResult>"), nil
				}})
				if out, err := r.Put(t.Context(), r.in("k", body, j)); err != nil || !out.Verified {
					t.Errorf("%+v, %v", out, err)
				}
			})
		})
	}
}

// What a journal tells of an upload may make no sense; then it starts over.
func TestUploadThatMakesNoSense(t *testing.T) {
	for _, size := range []int64{0, -1, 1, MaxPartSize + 1, -1 << 63, 1<<63 - 1} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(nil)
			j, body := &storetest.Journal{}, big()
			in := r.in("k", body, j)
			if err := j.Begin(transfer.Upload{Key: "k", ID: "upload-1", Stat: in.Item.Stat, PartSize: size}); err != nil {
				t.Fatal(err)
			}
			if out, err := r.Put(t.Context(), in); err != nil || !out.Verified {
				t.Errorf("parts of %d bytes: %+v, %v", size, out, err)
			}
		})
	}
}

// The header of an answer is bounded by the real client.
func TestHeaderWithoutEnd(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			w.Header().Set(fmt.Sprintf("X-Amz-Meta-%d", i), strings.Repeat("a", 1<<10))
		}
		w.Header().Set("ETag", `"e"`)
	}))
	defer srv.Close()
	r := newRig(func(o *Options) {
		o.HTTP, o.Endpoint, o.FirstPatience = newTestHTTP(t, HTTPOptions{}), srv.URL, time.Nanosecond
	})
	if _, err := r.Stat(t.Context(), "k"); !errors.Is(err, transfer.ErrUnreachable) || !strings.Contains(err.Error(), "header") {
		t.Errorf("a header of 100 KiB: %v", err)
	}
}

// A server's words are kept to a length, in the log's fields, too.
func TestLongWords(t *testing.T) {
	r := newRig(nil)
	r.faults.On(0, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
		resp := storetest.Response(req, 400, "application/xml", "<Error><Code>"+strings.Repeat("C", 5000)+"</Code><Message>"+strings.Repeat("é", 50_000)+"</Message></Error>")
		resp.Header.Set("X-Amz-Request-Id", strings.Repeat("r", 5000))
		return resp, nil
	}})
	_, err := r.put(t, "k", nil)
	var code interface{ ErrorCode() string }
	var id interface{ ServiceRequestID() string }
	if !errors.As(err, &code) || !errors.As(err, &id) || len(code.ErrorCode()) > longestCode+3 || len(id.ServiceRequestID()) > longestID+3 || len(err.Error()) > 1000 {
		t.Errorf("%d bytes: %.200s", len(err.Error()), err)
	}
}

// opened is how many elements a parser has open at most, in what it reads of text.
func opened(text []byte) (most int) {
	open := 0
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		switch token, err := d.RawToken(); token.(type) {
		case xml.StartElement:
			open++
			most = max(most, open)
		case xml.EndElement:
			open--
		default:
			if err != nil {
				return most
			}
		}
	}
}

func TestNest(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "<a>": 1, "<a></a>": 0, "<a/>": 0, "<a b='/>'><c>": 2, `<a b=">" c='"'/>`: 0, "<?xml?><!-- b --><a>x<b/>": 1, "</a>": -1,
		// Ends that are none.
		"<a><!-- ></a> -->": 1, "<a><!--></a>-->": 1, "<a><![CDATA[></a>]]]]>": 1, "<a><?b ></a>?>": 1, "<a><!b <></a>>": 1, "<a><!></a>": 1,
	} {
		var again nest
		if most := opened([]byte(text)); most > 0 && !again.deeper([]byte(text), most-1) {
			t.Errorf("%q: a parser has %d open", text, most)
		}
		var n nest
		if n.deeper([]byte(text), 100); n.open != want {
			t.Errorf("%q: %d are open, want %d", text, n.open, want)
		}
	}
	var n nest
	if !n.deeper([]byte(strings.Repeat("<a>", deepestAnswer+1)), deepestAnswer) {
		t.Error("not noticed")
	}
}
