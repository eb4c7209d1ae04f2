// Package limit is what uploading costs in Go when nothing but the sending is
// done: no plan, no journal, no retries. It is what the agent is measured
// against, and good for nothing else.
package limit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options of an upload.
type Options struct {
	Endpoint string // URL of the server
	CAFile   string // trusted besides the system's; "" for none
	Dir      string // what is sent: every regular file below it
	Parallel int    // requests at once
	PartSize int64  // bytes; what is larger is sent in such pieces
}

// bucket is the one that everything goes to.
const bucket = "limit"

// Raw sends every file by bare PUT requests of net/http, in pieces of PartSize,
// straight from the file. Nothing is signed, summed or checked: no client in Go
// can send the same bytes for less.
func Raw(ctx context.Context, o Options) error {
	client, err := httpClient(o)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return each(ctx, o, func(ctx context.Context, f *os.File, name string, size int64) error {
		return o.putFile(ctx, client, f, name, size)
	})
}

// putFile sends the pieces of one file.
func (o Options) putFile(ctx context.Context, client *http.Client, f *os.File, name string, size int64) error {
	for off := int64(0); off < size || off == 0; off += o.PartSize {
		n := min(o.PartSize, size-off)
		target := fmt.Sprintf("%s/%s/%s", o.Endpoint, bucket, (&url.URL{Path: name}).EscapedPath())
		if size > o.PartSize {
			target += fmt.Sprintf("?partNumber=%d&uploadId=limit", off/o.PartSize+1)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, io.NewSectionReader(f, off, n))
		if err != nil {
			return err
		}
		req.ContentLength = n
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		if err := drain(res); err != nil {
			return err
		}
	}
	return nil
}

func drain(res *http.Response) error {
	_, err := io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answered %s", res.Status)
	}
	return err
}

// sender sends one open file. name is its path below Options.Dir, with slashes.
type sender func(ctx context.Context, f *os.File, name string, size int64) error

// each walks o.Dir and sends every file, Parallel at once.
func each(ctx context.Context, o Options, send sender) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Parallel)
	err := filepath.WalkDir(o.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(o.Dir, path)
		if err != nil || ctx.Err() != nil {
			return err
		}
		g.Go(func() error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				return err
			}
			return send(ctx, f, filepath.ToSlash(name), st.Size())
		})
		return nil
	})
	if gerr := g.Wait(); gerr != nil {
		return gerr
	}
	return err
}

// httpClient has the settings by which the agent's client is as fast as it is,
// and nothing else: HTTP/1.1, TLS 1.2 and up, connections for all requests.
func httpClient(o Options) (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: no certificate in it", o.CAFile)
		}
	}
	t := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxIdleConnsPerHost: o.Parallel + 4,
		WriteBufferSize:     64 << 10,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return &http.Client{Transport: t}, nil
}
