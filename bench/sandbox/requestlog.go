package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// logEntry is one finished request. It holds no session token and no
// signature. Times are of the real clock, whatever the clock offset.
type logEntry struct {
	Time   time.Time `json:"t"`     // just before the first byte of the answer
	Start  time.Time `json:"start"` // when the request's header had been read
	Op     string    `json:"op"`
	Method string    `json:"method"`
	Key    string    `json:"key"`   // object key; for the API the path
	Query  string    `json:"query"` // as sent, without credentials
	Upload string    `json:"uploadId,omitempty"`
	Part   int       `json:"part,omitempty"`
	Bytes  int64     `json:"bytes"`  // body bytes the server read, with any chunk framing
	Length int64     `json:"length"` // declared payload, without framing; -1: unknown
	Status int       `json:"status"`
	Code   string    `json:"code,omitempty"` // S3 error code
	Access string    `json:"accessKey,omitempty"`
}

// newS3Entry fills in what the request alone tells.
func newS3Entry(r *http.Request) *logEntry {
	c := operation(r.Method, r.RequestURI, r.Header.Get("X-Amz-Copy-Source") != "")
	length := r.ContentLength
	if decoded, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		length = decoded
	}
	return &logEntry{
		Start:  time.Now(),
		Op:     c.name,
		Method: r.Method,
		Key:    c.key,
		Query:  c.query,
		Upload: c.uploadID,
		Part:   c.part,
		Length: length,
		Access: accessKeyOf(r),
	}
}

// requestLog appends one JSON object a line, each in one write, so that the
// file is whole up to the last line even after a kill. A nil log is off.
type requestLog struct {
	file   *os.File
	errors io.Writer
	mu     sync.Mutex
}

func openRequestLog(path string, errors io.Writer) (*requestLog, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("request log: %w", err)
	}
	return &requestLog{file: f, errors: errors}, nil
}

func (l *requestLog) write(e *logEntry) {
	if l == nil {
		return
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line) // ends the line
	enc.SetEscapeHTML(false)      // '&' stays readable
	err := enc.Encode(e)          //nolint:gosec // an access key ID is no secret
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, err = l.file.Write(line.Bytes())
	}
	if err != nil {
		say(l.errors, "sandbox: request log: %v\n", err)
	}
}

func (l *requestLog) close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
