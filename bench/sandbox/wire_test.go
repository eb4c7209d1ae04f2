package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signed makes a request by hand, signed at a chosen time.
func (s *sandbox) signed(method, key, query string, body []byte, c credentials, at time.Time) *http.Request {
	s.t.Helper()
	target := s.env["AWS_ENDPOINT_URL"] + "/" + bucket
	if key != "" {
		target += "/" + key
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, target+query, bytes.NewReader(body))
	must(s.t, err)
	s.sign(req, body, c, at)
	return req
}

// sign signs all headers the request has by now.
func (s *sandbox) sign(req *http.Request, body []byte, c credentials, at time.Time) {
	s.t.Helper()
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	must(s.t, v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(s.t.Context(), aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
	}, req, hash, "s3", s.env["AWS_REGION"], at))
}

// send returns the answer and its body.
func (s *sandbox) send(req *http.Request) (*http.Response, string) {
	s.t.Helper()
	resp, err := s.transport().RoundTrip(req)
	must(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(s.t, err)
	return resp, string(body)
}

func TestClockOffset(t *testing.T) {
	const offset = 40 * time.Minute
	s := start(t, "--clock-offset", offset.String(), "--token-life", "30m")
	ctx := t.Context()
	token := s.token()
	ends, err := time.Parse(time.RFC3339, token.Expiration)
	must(t, err)
	if left := time.Until(ends); left < 65*time.Minute || left > 75*time.Minute {
		t.Errorf("expiration is %v away, want 70m", left)
	}
	wantError(t, put(ctx, s.client(token), workspace+"/k", []byte("x")), http.StatusForbidden, "RequestTimeTooSkewed")

	key := workspace + "/a%20b/%C3%A9"
	resp, body := s.send(s.signed(http.MethodPut, key, "", []byte("shifted"), token, time.Now().Add(offset)))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT at the server's time: %s %s", resp.Status, body)
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	must(t, err)
	if ahead := time.Until(date); ahead < offset-time.Minute || ahead > offset+time.Minute {
		t.Errorf("Date is %v ahead, want %v", ahead, offset)
	}
	if _, body := s.send(s.signed(http.MethodGet, key, "", nil, s.rootCredentials(), time.Now().Add(offset))); body != "shifted" {
		t.Errorf("got %q", body)
	}
	cases := []struct {
		name, method, query, code string
		change                    func(*credentials)
	}{
		{"wrong secret", http.MethodPut, "", "SignatureDoesNotMatch", func(c *credentials) { c.SecretAccessKey = "x" }},
		{"garbled token", http.MethodPut, "", "InvalidToken", func(c *credentials) { c.SessionToken = c.SessionToken[4:] }},
		{"unknown key", http.MethodPut, "", "InvalidAccessKeyId", func(c *credentials) { c.AccessKeyID = "ASIAAAAAAAAAAAAAAAAA" }},
		{"denied", http.MethodGet, "?uploadId=x", "AccessDenied", func(*credentials) {}},
	}
	for _, tc := range cases {
		c := token
		tc.change(&c)
		if _, body := s.send(s.signed(tc.method, key, tc.query, nil, c, time.Now().Add(offset))); !strings.Contains(body, "<Code>"+tc.code+"<") {
			t.Errorf("%s: %s", tc.name, body)
		}
	}
}

// TestSmallClockOffset has an ordinary client within the allowed skew, whose
// uploads are signed chunk by chunk, and tokens that the shifted clock ends.
func TestSmallClockOffset(t *testing.T) {
	s := start(t, "--clock-offset", "-5m", "--token-life", "1s")
	ctx := t.Context()
	c := s.client(s.rootCredentials())
	data := randomBytes(1<<20 + 5)
	must(t, put(ctx, c, workspace+"/chunked", data))
	got, err := get(ctx, c, workspace+"/chunked")
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("other bytes came back")
	}
	token := s.mint()
	ends, err := time.Parse(time.RFC3339, token.Expiration)
	must(t, err)
	<-time.After(time.Until(ends.Add(5*time.Minute)) + time.Millisecond)
	wantError(t, put(ctx, s.client(token), workspace+"/k", []byte("x")), http.StatusBadRequest, "ExpiredToken")
}

// TestExpectContinue proves that a client that asks first is refused before it
// sends its body, and told to go on when its credentials are good.
func TestExpectContinue(t *testing.T) {
	s := start(t)
	body := randomBytes(8 << 20)
	for _, tc := range []struct {
		name     string
		token    func(credentials) credentials
		status   int
		goes     bool
		received int64
	}{
		{"good", func(c credentials) credentials { return c }, 200, true, 8 << 20},
		{"bad token", func(c credentials) credentials { c.SessionToken = c.SessionToken[4:]; return c }, 400, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var continued atomic.Bool
			req := s.signed(http.MethodPut, workspace+"/k", "", body, tc.token(s.token()), time.Now())
			req.Header.Set("Expect", "100-continue")
			req = req.WithContext(httptrace.WithClientTrace(context.WithoutCancel(t.Context()), &httptrace.ClientTrace{
				Got100Continue: func() { continued.Store(true) },
			}))
			resp, answer := s.send(req)
			if resp.StatusCode != tc.status || continued.Load() != tc.goes {
				t.Errorf("%s (100 Continue: %v) %s", resp.Status, continued.Load(), answer)
			}
			if e := s.last("PutObject"); e.Bytes != tc.received {
				t.Errorf("the server read %d bytes of body", e.Bytes)
			}
		})
	}
}

func TestAPIErrors(t *testing.T) {
	s := start(t)
	base := s.env["AGENT_SANDBOX_API"] + "/workspaces/"
	good := "Bearer " + s.env["AGENT_SANDBOX_API_KEY"]
	for _, tc := range []struct {
		name, method, path, auth string
		status                   int
		text                     string
	}{
		{"no header", "POST", workspace + "/me/s3-tokens", "", 401, "authorization header missing"},
		{"not bearer", "POST", workspace + "/me/s3-tokens", "Basic eDp5", 401, "invalid token format"},
		{"wrong key", "POST", workspace + "/me/s3-tokens", "Bearer nope", 401, "invalid bearer jwt token"},
		{"other workspace", "POST", "other/me/s3-tokens", good, 403, ""},
		{"GET", "GET", workspace + "/me/s3-tokens", good, 405, "Method Not Allowed"},
		{"workspace without key", "GET", workspace, "", 401, "authorization header missing"},
		{"elsewhere", "GET", workspace + "/nothing", good, 404, "404 page not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, base+tc.path, nil)
			must(t, err)
			if tc.auth != "" {
				req.Header.Set("Authorization", tc.auth)
			}
			resp, body := s.send(req)
			if resp.StatusCode != tc.status || strings.TrimSpace(body) != tc.text {
				t.Errorf("%s %q", resp.Status, body)
			}
			if tc.text != "" && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
				t.Errorf("content type %s", resp.Header.Get("Content-Type"))
			}
		})
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+workspace, nil)
	must(t, err)
	req.Header.Set("Authorization", good)
	_, body := s.send(req)
	var info workspaceInfo
	must(t, json.Unmarshal([]byte(body), &info))
	if o := info.Stores[0].Object[0]; o.Bucket != bucket || o.Prefix != workspace+"/" || !strings.Contains(o.AccessPointARN, ":eu-west-2:") {
		t.Errorf("workspace: %s", body)
	}
}

// TestBrokenUpload breaks off in the middle of a body: nothing is stored, and
// the log has no success.
func TestBrokenUpload(t *testing.T) {
	s := start(t)
	data := randomBytes(1 << 20)
	req := s.signed(http.MethodPut, workspace+"/half", "", data, s.token(), time.Now())
	body, feed := io.Pipe()
	req.Body = body
	go func() {
		_, _ = feed.Write(data[:len(data)/2])
		_ = feed.CloseWithError(io.ErrUnexpectedEOF) // the transport drops the connection
	}()
	if resp, err := s.transport().RoundTrip(req); err == nil {
		t.Errorf("got %s", resp.Status)
	}
	s.stop() // waits for the request
	if e := s.last("PutObject"); e.Status < 400 || e.Bytes >= int64(len(data)) {
		t.Errorf("logged as %+v", e)
	}
}
