//go:build long && linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// toxins is a running toxiproxy: a proxy for connections that misbehave as they
// are told to. 'make toxiproxy' builds bin/stores/toxiproxy-server.
type toxins struct {
	t    *testing.T
	base string
}

func newToxins(t *testing.T) *toxins {
	path := needed(t, "toxiproxy-server")
	at := freePort(t)
	host, port, _ := strings.Cut(at, ":")
	background(t, nil, path, "-host", host, "-port", port)
	x := &toxins{t, "http://" + at}
	until(t, "toxiproxy", func() bool {
		resp, err := http.Get(x.base + "/version")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	return x
}

// call makes a request to its API; what it answers goes into out.
func (x *toxins) call(method, path string, in, out any) {
	x.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		x.t.Fatal(err)
	}
	req, err := http.NewRequest(method, x.base+path, bytes.NewReader(b))
	if err != nil {
		x.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		x.t.Fatalf("toxiproxy: %s %s: %d %s %v", method, path, resp.StatusCode, said, err)
	}
	if out != nil {
		if err := json.Unmarshal(said, out); err != nil {
			x.t.Fatal(err)
		}
	}
}

// before puts a proxy of its own before what a rig's agents speak to.
func (x *toxins) before(r *rig, name string) {
	var made struct{ Listen string }
	upstream := strings.TrimPrefix(value(r.env, "AWS_ENDPOINT_URL"), "http://")
	x.call("POST", "/proxies", map[string]any{"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true}, &made)
	r.env = append(r.env, "AWS_ENDPOINT_URL=http://"+made.Listen) // the last one counts
}

// toxin is one way for a wire to misbehave.
type toxin struct {
	name       string
	kind       string // toxiproxy's name
	stream     string
	attributes map[string]any
	breaks     bool // requests fail by it
}

// wireToxins are the toxins, each with what makes it hurt a transfer of 5 MiB parts.
var wireToxins = []toxin{
	{"latency", "latency", "upstream", map[string]any{"latency": 300, "jitter": 200}, false},
	{"late-answers", "latency", "downstream", map[string]any{"latency": 400, "jitter": 300}, false},
	{"bandwidth", "bandwidth", "upstream", map[string]any{"rate": 3000}, false},
	{"slow-close", "slow_close", "downstream", map[string]any{"delay": 1500}, false},
	{"slices", "slicer", "upstream", map[string]any{"average_size": 1200, "size_variation": 800, "delay": 50}, false},
	{"reset-requests", "reset_peer", "upstream", map[string]any{"timeout": 150}, true},
	{"reset-answers", "reset_peer", "downstream", map[string]any{"timeout": 100}, true},
	{"requests-lost", "timeout", "upstream", map[string]any{"timeout": 400}, true},
	{"answers-lost", "timeout", "downstream", map[string]any{"timeout": 400}, true},
	{"requests-cut", "limit_data", "upstream", map[string]any{"bytes": 3_000_000}, true},
	{"answers-cut", "limit_data", "downstream", map[string]any{"bytes": 100}, true},
}

func (x *toxins) add(proxy string, k toxin) {
	x.call("POST", "/proxies/"+proxy+"/toxics", map[string]any{
		"name": k.name, "type": k.kind, "stream": k.stream, "toxicity": 1.0, "attributes": k.attributes}, nil)
}

func (x *toxins) remove(proxy string, k toxin) {
	x.call("DELETE", "/proxies/"+proxy+"/toxics/"+k.name, nil, nil)
}

// hurts lets a toxin work on a running transfer, until it has failed some
// requests or, where it only slows them, for a while of the transfer.
func (x *toxins) hurts(p *proc, proxy string, k toxin, moved func() int) {
	x.t.Helper()
	x.add(proxy, k)
	from := moved()
	until(x.t, k.name, func() bool {
		if !p.running() {
			x.t.Fatalf("it ended before %s hurt it:\n%s", k.name, p.err.String())
		}
		if k.breaks {
			return strings.Count(p.err.String(), "retry in") >= 3
		}
		return moved() >= from+2
	})
	x.remove(proxy, k)
}

var wireFiles = wireTree()

func wireTree() tree {
	files := tree{}.with("large", 60<<20+1)
	for i := range 60 {
		files.with(fmt.Sprintf("small/%02d", i), 3000+i)
	}
	return files
}

// wireBodies are the bytes in the bodies of the attempts that failed, by what was said
// of each: a part or range of 5 MiB at most, or a small file.
func wireBodies(said string) (n int64) {
	for line := range strings.Lines(said) {
		switch {
		case !strings.Contains(line, "retry in"):
		case strings.Contains(line, "/small/"):
			n += 3000 + 60
		default:
			n += 5 << 20
		}
	}
	return n
}

// TestLongWire proves that whatever a wire does to connections in mid-upload
// costs at most the bodies of the requests that failed by it: it is waited out,
// and all is stored as it is.
func TestLongWire(t *testing.T) {
	x := newToxins(t)
	dir := wireFiles.write(t)
	for _, k := range wireToxins {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			x := &toxins{t, x.base}
			r := newRig(t).withToken()
			x.before(r, k.name+"-up")
			p := r.startUpload("-v", "--limit", "15MB/s", "--parallel", "4", "--part-size", "5MiB", dir)
			r.acked("large", 1)
			x.hurts(p, k.name+"-up", k, func() int { return len(r.requests(0)) })
			e := p.wait()
			if e.code != 0 {
				t.Fatalf("exit %d\n%s", e.code, e.err)
			}
			r.holds(wireFiles)
			bodies := wireBodies(e.err)
			extra := -wireFiles.bytes()
			for _, q := range r.requests(0) {
				if _, ok := unitOf(q); ok {
					extra += min(q.Bytes, q.Length) // without framing
				}
			}
			t.Logf("attempts with %.1f MiB failed; %.1f MiB were sent again", float64(bodies)/(1<<20), float64(extra)/(1<<20))
			if extra > bodies {
				t.Errorf("%d bytes were sent again, of %d in attempts that failed\n%s", extra, bodies, e.err)
			}
		})
	}
}

// TestLongWireDown is TestLongWire for downloads: what is fetched again are at most the
// bodies of the requests that failed, as they left the store.
func TestLongWireDown(t *testing.T) {
	x := newToxins(t)
	for _, k := range wireToxins {
		if k.name == "requests-cut" { // those of a download are short
			k.attributes = map[string]any{"bytes": 500}
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			x := &toxins{t, x.base}
			r := newRig(t).withToken()
			r.fill(wireFiles)
			l := &line{rate: 3 << 20} // so that little lies between the store and the toxin
			x.before(r.through(l.handler), k.name+"-down")
			to := t.TempDir()
			from := r.mark()
			p := r.start("download", "-v", "--limit", "15MB/s", "--parallel", "4", "--part-size", "5MiB", r.dest, to)
			until(t, "a range", func() bool { return l.has("large") })
			x.hurts(p, k.name+"-down", k, func() int { return len(r.requests(from)) })
			e := p.wait()
			if e.code != 0 {
				t.Fatalf("exit %d\n%s", e.code, e.err)
			}
			wireFiles.isIn(t, to)
			bodies := wireBodies(e.err)
			extra := -wireFiles.bytes()
			for _, f := range l.take() {
				extra += f.came
			}
			t.Logf("attempts with %.1f MiB failed; %.1f MiB were fetched again", float64(bodies)/(1<<20), float64(extra)/(1<<20))
			if extra > bodies {
				t.Errorf("%d bytes were fetched again, of %d in attempts that failed\n%s", extra, bodies, e.err)
			}
		})
	}
}

// TestLongWireGivenUp proves that a wire that stays broken ends a run with 5
// after --patience, and that the same command goes on when it is mended.
func TestLongWireGivenUp(t *testing.T) {
	x := newToxins(t)
	dir := wireFiles.write(t)
	for _, k := range wireToxins {
		if !k.breaks {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			x := &toxins{t, x.base}
			r := newRig(t).withToken()
			x.before(r, k.name+"-for-good")
			args := []string{"--patience", "3s", "--limit", "15MB/s", "--parallel", "4", "--part-size", "5MiB", dir}
			p := r.startUpload(args...)
			r.acked("large", 1)
			at := time.Now() // from here on an answer may not arrive
			x.add(k.name+"-for-good", k)
			e := p.wait()
			if e.code != 5 || !strings.Contains(e.err, "could not be reached for") || !strings.Contains(e.err, goesOn) {
				t.Errorf("exit %d\n%s", e.code, e.err)
			}
			x.remove(k.name+"-for-good", k)
			r.upload(0, args...)
			r.holds(wireFiles)
			noneTwice(t, r.requests(0), []kill{{at, durable}})
		})
	}
}
