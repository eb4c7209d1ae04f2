package main

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// platformAPI is the platform's own HTTP API, as far as an uploader uses it.
type platformAPI struct {
	apiKey    string
	workspace string
	bucket    string
	region    string
	issuer    issuer
	log       *requestLog
}

func (p *platformAPI) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/workspaces/{workspace}/me/s3-tokens", p.logged("MintToken", http.MethodPost, p.mintToken))
	mux.Handle("/api/workspaces/{workspace}", p.logged("GetWorkspace", http.MethodGet, p.getWorkspace))
	mux.Handle("/", p.logged("Unknown", "", func(*http.Request, *logEntry) (int, any) {
		return http.StatusNotFound, "404 page not found"
	}))
	return mux
}

// apiCall answers a request with a status and a body: a string is sent as
// text/plain, anything else as JSON.
type apiCall func(r *http.Request, entry *logEntry) (int, any)

// logged checks the method and the key around an apiCall and logs its end.
func (p *platformAPI) logged(op, method string, next apiCall) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entry := &logEntry{Start: time.Now(), Op: op, Method: r.Method, Key: r.URL.Path, Length: r.ContentLength}
		status, body := p.authorize(r)
		switch {
		case method != "" && r.Method != method:
			w.Header().Set("Allow", method)
			status, body = http.StatusMethodNotAllowed, "Method Not Allowed"
		case status == http.StatusOK || method == "":
			status, body = next(r, entry)
		}
		w.Header().Set("Date", p.issuer.clock.now().Format(http.TimeFormat))
		entry.Status, entry.Time = status, time.Now()
		reply(w, status, body)
		p.log.write(entry)
	})
}

// authorize gives the platform's answers to a bad Authorization header. A key
// of another workspace is stopped by the gateway in front, without a text.
func (p *platformAPI) authorize(r *http.Request) (int, any) {
	header := r.Header.Get("Authorization")
	key, isBearer := strings.CutPrefix(header, "Bearer ")
	switch {
	case header == "":
		return http.StatusUnauthorized, "authorization header missing"
	case !isBearer:
		return http.StatusUnauthorized, "invalid token format"
	case subtle.ConstantTimeCompare([]byte(key), []byte(p.apiKey)) != 1:
		return http.StatusUnauthorized, "invalid bearer jwt token"
	case r.PathValue("workspace") != p.workspace:
		return http.StatusForbidden, ""
	}
	return http.StatusOK, nil
}

// credentials is the answer of the token call.
type credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	Expiration      string `json:"expiration"` // RFC 3339, UTC
}

func (p *platformAPI) mintToken(r *http.Request, entry *logEntry) (int, any) {
	s := p.issuer.mint(r.PathValue("workspace"))
	entry.Access = s.access
	return http.StatusOK, s.credentials()
}

func (s session) credentials() credentials {
	return credentials{
		AccessKeyID:     s.access,
		SecretAccessKey: s.secret,
		SessionToken:    s.token,
		Expiration:      s.ends.Format(time.RFC3339Nano), // no fraction when there is none
	}
}

// Answer of the workspace call, in the platform's shape.
type (
	workspaceInfo struct {
		Name   string      `json:"name"`
		Stores []storeInfo `json:"stores"`
	}
	storeInfo struct {
		Object []objectStore `json:"object"`
		Block  []any         `json:"block"`
	}
	objectStore struct {
		Name           string `json:"name"`
		Bucket         string `json:"bucket"`
		Prefix         string `json:"prefix"`
		Host           string `json:"host"`
		AccessPointARN string `json:"access_point_arn"`
		AccessURL      string `json:"access_url"`
		EnvVar         string `json:"env_var"`
	}
)

func (p *platformAPI) getWorkspace(r *http.Request, _ *logEntry) (int, any) {
	ws := r.PathValue("workspace")
	return http.StatusOK, workspaceInfo{
		Name: ws,
		Stores: []storeInfo{{
			Object: []objectStore{{
				Name:           ws,
				Bucket:         p.bucket,
				Prefix:         ws + "/",
				Host:           fmt.Sprintf("%s.s3.%s.amazonaws.com", p.bucket, p.region),
				AccessPointARN: fmt.Sprintf("arn:aws:s3:%s:000000000000:accesspoint/%s", p.region, ws),
				AccessURL:      fmt.Sprintf("https://%s.eodatahub-workspaces.org.uk/files/%s/", ws, p.bucket),
				EnvVar:         "S3_BUCKET_WORKSPACE",
			}},
			Block: []any{},
		}},
	}
}

// reply sends the body of an apiCall.
func reply(w http.ResponseWriter, status int, body any) {
	text, isText := body.(string)
	if !isText {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // fails only when the client is gone
		return
	}
	if text != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text += "\n"
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
