// Package sink is an S3 server that stores nothing: it takes objects and parts,
// counts them and answers as S3 would, for as little CPU as can be. It checks no
// signature and, unless it is told to Keep, no checksum. Of each object it remembers
// what a HEAD and a listing tell, because clients ask after they have sent, and when
// they are run again.
package sink

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// CountsPath answers with the Counts as JSON; a POST forgets the FirstPut first. It is not counted itself, and no
// client asks for it: a bucket has no name that begins with a dash.
const CountsPath = "/-/counts"

// Counts is what has come in since the start.
type Counts struct {
	Requests int64 `json:"requests"`
	Objects  int64 `json:"objects"` // stored, by one PutObject or by parts
	Parts    int64 `json:"parts"`
	Bytes    int64 `json:"bytes"`  // of objects and parts, without chunk framing
	Summed   int64 `json:"summed"` // bodies that came with something to compare them with
	Bare     int64 `json:"bare"`   // bodies that came without
	Conns    int64 `json:"conns"`  // connections accepted
	Lists    int64 `json:"lists"`  // pages of listings

	Longest time.Duration `json:"longest"` // that one body took to come in, since the start
	Busy    time.Duration `json:"busy"`    // that all bodies took, one after the other
	// FirstPut is when the first object or part began to come in since a POST to
	// CountsPath, in nanoseconds since 1970; 0 for none.
	FirstPut int64 `json:"first_put"`
}

// Sub is what has come in since before.
func (c Counts) Sub(before Counts) Counts {
	return Counts{
		Requests: c.Requests - before.Requests, Objects: c.Objects - before.Objects,
		Parts: c.Parts - before.Parts, Bytes: c.Bytes - before.Bytes, Summed: c.Summed - before.Summed, Bare: c.Bare - before.Bare, Conns: c.Conns - before.Conns,
		Lists: c.Lists - before.Lists, Longest: c.Longest, Busy: c.Busy - before.Busy, FirstPut: c.FirstPut,
	}
}

// Server is a running sink. It serves http and https at once, on two ports of
// one address.
type Server struct {
	httpURL, httpsURL string
	server            http.Server
	serving           sync.WaitGroup
	buffers           sync.Pool
	ids               atomic.Int64
	memory            memory
	keeping           atomic.Int64 // see Keep; 0 is not at all

	host string

	requests, objects, parts, bytes, summed, bare, conns, lists, longest, busy, firstPut atomic.Int64
}

// Start starts a sink on 127.0.0.1, and writes the certificate that https clients
// have to trust to caFile ("": no https).
func Start(caFile string) (*Server, error) { return StartAt("127.0.0.1", caFile) }

// StartAt starts one on another address of this machine.
func StartAt(host, caFile string) (*Server, error) {
	s := &Server{host: host}
	s.buffers.New = func() any { b := make([]byte, 256<<10); return &b }
	s.server = http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
		Protocols:         new(http.Protocols),
		ErrorLog:          log.New(io.Discard, "", 0), // clients that leave are nothing to report
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.conns.Add(1)
			}
		},
	}
	s.server.Protocols.SetHTTP1(true)
	url, err := s.listen(nil)
	if err != nil {
		return nil, err
	}
	s.httpURL = "http://" + url
	if caFile == "" {
		return s, nil
	}
	cert, err := certificate(caFile, host)
	if err == nil {
		url, err = s.listen(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.httpsURL = "https://" + url
	return s, nil
}

func (s *Server) listen(t *tls.Config) (addr string, err error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(s.host, "0"))
	if err != nil {
		return "", err
	}
	addr = l.Addr().String()
	if t != nil {
		l = tls.NewListener(l, t)
	}
	s.serving.Go(func() { _ = s.server.Serve(l) }) // ends by Close
	return addr, nil
}

// URL of the http server, and of the https server ("" without one).
func (s *Server) URL() (plain, secure string) { return s.httpURL, s.httpsURL }

// Counts is what has come in so far.
func (s *Server) Counts() Counts {
	return Counts{
		Requests: s.requests.Load(), Objects: s.objects.Load(), Parts: s.parts.Load(),
		Bytes: s.bytes.Load(), Summed: s.summed.Load(), Bare: s.bare.Load(), Conns: s.conns.Load(), Lists: s.lists.Load(),
		Longest: time.Duration(s.longest.Load()), Busy: time.Duration(s.busy.Load()), FirstPut: s.firstPut.Load(),
	}
}

// Close breaks all connections off and waits for the listeners to end.
func (s *Server) Close() error {
	err := s.server.Close()
	s.serving.Wait()
	return err
}

func (s *Server) writeCounts(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.firstPut.Store(0)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Counts()) // who asked has gone
}
