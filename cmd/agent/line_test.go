//go:build long && linux

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fetched is one GET of an object's bytes as the line saw it.
type fetched struct {
	key, access string
	off, size   int64
	from, until time.Time
	came        int64 // bytes that were handed on
}

// line carries downloads, and notes what went over it.
type line struct {
	rate int64 // that one connection gets, in bytes a second; 0 is no limit

	mu  sync.Mutex
	all []fetched
}

func (l *line) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet || q.URL.Query().Has("list-type") {
			next.ServeHTTP(w, q)
			return
		}
		g := &noted{ResponseWriter: w, rate: l.rate, got: fetched{key: q.URL.Path, access: accessOf(q), from: time.Now()}}
		var last int64
		if _, err := fmt.Sscanf(q.Header.Get("Range"), "bytes=%d-%d", &g.got.off, &last); err == nil {
			g.got.size = last + 1 - g.got.off
		}
		defer func() { // also where the proxy gives up with a panic
			g.got.until = time.Now()
			l.mu.Lock()
			defer l.mu.Unlock()
			l.all = append(l.all, g.got)
		}()
		next.ServeHTTP(g, q)
	})
}

// accessOf is the access key that a request is signed with.
func accessOf(q *http.Request) string {
	_, rest, _ := strings.Cut(q.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	return key
}

// has tells whether some of an object went over it, to the end of a request.
func (l *line) has(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.all, func(f fetched) bool { return strings.HasSuffix(f.key, "/"+key) && f.came > 0 })
}

func (l *line) take() []fetched {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// noted is an answer on its way over a line.
type noted struct {
	http.ResponseWriter
	rate int64
	got  fetched
	bad  bool
}

func (s *noted) WriteHeader(status int) {
	s.bad = status >= 300
	if n, err := strconv.ParseInt(s.Header().Get("Content-Length"), 10, 64); err == nil && s.got.size == 0 {
		s.got.size = n
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *noted) Write(b []byte) (int, error) {
	if s.rate > 0 {
		time.Sleep(time.Duration(int64(len(b)) * int64(time.Second) / s.rate)) // this is the line's speed
	}
	n, err := s.ResponseWriter.Write(b)
	if !s.bad {
		s.got.came += int64(n)
	}
	return n, err
}
