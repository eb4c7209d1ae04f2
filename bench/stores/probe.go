package stores

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/httpbinding"
)

// Row is one thing in which stores differ.
type Row struct {
	Group string // heading of the rows from here on; "" is that of the row before
	Name  string
	waits bool // for the end of a token
	many  bool // tokens are taken: one may end before the row does
	probe func(context.Context, *prober) string
}

// Rows are all of them, in the order of the table.
func Rows() []Row {
	var all []Row
	for _, group := range [][]Row{sumRows, partRows, objectRows, keyRows} {
		all = append(all, group...)
	}
	return all
}

// Probe finds out what a store does: a cell for each row. Where that takes the end
// of a token and wait is shorter than its life, the cell is left out.
func Probe(ctx context.Context, s *Store, wait time.Duration) (map[string]string, error) {
	p := &prober{s: s, cells: map[string]string{}}
	if err := p.prepare(ctx, wait); err != nil {
		return nil, err
	}
	defer p.http.CloseIdleConnections()
	for i, r := range Rows() {
		if err := p.row(ctx, i, r); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", s.Name, r.Name, err)
		}
	}
	return p.cells, nil
}

// prober asks one store. What it can't find out it notes in err.
type prober struct {
	s     *Store
	http  *http.Client
	keys  Keys      // live ones
	old   Keys      // whose end is awaited; none where nothing is
	taken time.Time // when old was
	at    string    // prefix of this row's keys
	cells map[string]string
	err   error
}

func (p *prober) prepare(ctx context.Context, wait time.Duration) error {
	transport := &http.Transport{DisableCompression: true, ExpectContinueTimeout: 10 * time.Second}
	if p.s.CA != "" {
		pem, err := os.ReadFile(p.s.CA)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	p.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if p.s.Life == 0 || wait < p.s.Life {
		return nil
	}
	var err error
	p.old, err = p.s.Token(ctx)
	p.taken = time.Now()
	return err
}

// row fills one cell, with a new token. If that did not live long enough, it is
// done again.
func (p *prober) row(ctx context.Context, i int, r Row) error {
	switch {
	case r.waits && p.s.Life == 0:
		p.cells[r.Name] = none
		return nil
	case r.waits && p.old == (Keys{}):
		return nil
	}
	for try := range 5 {
		began := time.Now()
		var err error
		if p.keys, err = p.s.Token(ctx); err != nil {
			return err
		}
		p.at, p.err = fmt.Sprintf("%s/probe/%02d-%d/", Workspace, i, try), nil
		cell := r.probe(ctx, p)
		if p.s.Life > 0 && !r.waits && !r.many && time.Since(began) > p.s.Life-time.Second {
			continue
		}
		p.cells[r.Name] = cell
		return p.err
	}
	return errors.New("it takes longer than a token lives")
}

// dead waits for the end of the old token. It is up when the store says so.
func (p *prober) dead(ctx context.Context) *Keys {
	left := max(time.Until(p.taken.Add(p.s.Life)), 0)
	ctx, cancel := context.WithTimeout(ctx, left+time.Minute)
	defer cancel()
	pause := time.NewTimer(left)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-ctx.Done():
			p.err = errors.Join(p.err, context.Cause(ctx))
			return &p.old
		}
		a := p.ask(ctx, question{method: http.MethodPut, key: p.at + "dead", keys: &p.old})
		if p.err != nil {
			return &p.old
		}
		if !a.ok() {
			p.keys, p.err = p.s.Token(ctx) // that of the row has ended, too
			return &p.old
		}
		pause.Reset(200 * time.Millisecond)
	}
}

// none is the cell of what a store does not have.
const none = "–"

// question is one request, and in what it differs from a plain one.
type question struct {
	method, key, query string
	header             map[string]string
	body               []byte
	stream             io.Reader // in place of body, of length bytes
	length             int64
	keys               *Keys // default the prober's
	off                time.Duration
	bucket             string // default Bucket
	hash               string // of the body; default that it is not signed
}

// answer is what came of it.
type answer struct {
	status int
	code   string
	header http.Header
	body   []byte
}

// String is the status, and S3's code if there is one.
func (a answer) String() string {
	if a.code != "" {
		return fmt.Sprintf("%d %s", a.status, a.code)
	}
	return fmt.Sprint(a.status)
}

func (a answer) ok() bool { return a.status/100 == 2 && a.code == "" }

// ask makes a request.
func (p *prober) ask(ctx context.Context, q question) (a answer) {
	if p.err != nil {
		return a
	}
	req, err := p.request(ctx, q)
	if err == nil {
		a, err = p.do(req)
	}
	if err != nil {
		p.err = err
	}
	return a
}

func (p *prober) request(ctx context.Context, q question) (*http.Request, error) {
	u, err := url.Parse(p.s.Endpoint)
	if err != nil {
		return nil, err
	}
	bucket := q.bucket
	if bucket == "" {
		bucket = Bucket
	}
	u.Path = "/" + bucket + "/" + q.key
	u.RawPath = "/" + bucket + "/" + httpbinding.EscapePath(q.key, false)
	u.RawQuery = q.query
	body, length := io.Reader(bytes.NewReader(q.body)), int64(len(q.body))
	if q.stream != nil {
		body, length = q.stream, q.length
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.URL, req.ContentLength = u, length
	if length == 0 {
		req.Body = http.NoBody
	}
	for name, v := range q.header {
		req.Header.Set(name, v)
	}
	hash, keys := q.hash, p.keys
	if hash == "" {
		hash = "UNSIGNED-PAYLOAD"
	}
	if q.keys != nil {
		keys = *q.keys
	}
	return req, sign(req, keys, hash, "s3", p.s.Region, time.Now().Add(q.off))
}

func (p *prober) do(req *http.Request) (a answer, err error) {
	resp, err := p.http.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, code: codeIn(body), header: resp.Header, body: body}, err
}

// put stores body under the row's key of this name.
func (p *prober) put(ctx context.Context, name string, body []byte, header map[string]string) answer {
	return p.ask(ctx, question{method: http.MethodPut, key: p.at + name, body: body, header: header})
}

func (p *prober) get(ctx context.Context, name string, header map[string]string) answer {
	return p.ask(ctx, question{method: http.MethodGet, key: p.at + name, header: header})
}

// refused is the answer where the store refused, and otherwise that it did not.
func refused(a answer) string {
	if a.ok() {
		return "**taken**"
	}
	return a.String()
}

// yes is "yes" if so, and what the store answered instead if it refused.
func yes(a answer, so bool) string {
	switch {
	case !a.ok():
		return a.String()
	case so:
		return "yes"
	}
	return "no"
}

// keysIn are the keys of a listing, in its order.
func keysIn(a answer) []string {
	var keys []string
	rest := string(a.body)
	for {
		_, after, ok := strings.Cut(rest, "<Key>")
		if !ok {
			return keys
		}
		key, behind, _ := strings.Cut(after, "</Key>")
		keys, rest = append(keys, key), behind
	}
}
