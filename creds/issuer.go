package creds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Issuer is any HTTP service that answers with credentials in JSON.
type Issuer struct {
	Name      string // for people; the URL's host when ""
	Method    string // GET when ""
	URL       string // {workspace} in it is replaced; https, or http to this machine
	Workspace string

	Header     string // name of the header that carries the key; Authorization when ""
	HeaderEnv  string // the variable that holds the header's value
	HeaderFile string // or the file; read anew each time, refused when others can read it
	Bearer     bool   // the value is a token, to be sent with "Bearer " in front

	Body   string // of the request, sent as JSON; none when ""
	Unwrap string // dotted path to the object with the credentials

	Place Location // where the credentials are for, as far as people said; see Locate

	HTTP   aws.HTTPClient      // must follow no redirect; an own one when nil
	Getenv func(string) string // os.Getenv when nil
}

func (i *Issuer) String() string {
	if i.Name != "" {
		return i.Name
	}
	if u, err := url.Parse(i.URL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "issuer"
}

// Renews is true: an issuer is asked for new sets as often as they are needed.
func (i *Issuer) Renews() bool { return true }

// Files is the file with the key.
func (i *Issuer) Files() []string {
	if i.HeaderFile == "" {
		return nil
	}
	return []string{i.HeaderFile}
}

// IssuerError is an answer that holds no credentials.
type IssuerError struct {
	Status int    // of the answer; 0 where there was none
	Said   string // the issuer's own words, without anything like a credential; "" where there are none
	Err    error  // what is wrong with it
}

func (e *IssuerError) Error() string {
	var parts []string
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if e.Status != 0 && (e.Status < 200 || e.Status > 299) {
		parts = append(parts, "answered "+statusText(e.Status))
	}
	if e.Said != "" {
		parts = append(parts, e.Said)
	}
	return strings.Join(parts, ": ")
}

func (e *IssuerError) Unwrap() error { return e.Err }

// Retrieve asks for credentials.
func (i *Issuer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s, err := i.Fetch(ctx)
	return s.Credentials, err
}

// Fetch is Retrieve with what the issuer says of bucket, prefix, region and
// endpoint.
func (i *Issuer) Fetch(ctx context.Context) (Set, error) {
	req, key, err := i.request(ctx)
	if err != nil {
		return Set{}, err
	}
	a, err := ask(ctx, i.HTTP, req)
	switch {
	case ctx.Err() != nil:
		return Set{}, ctx.Err()
	case err != nil:
		return Set{}, &IssuerError{Err: err}
	case a.status < 200 || a.status > 299:
		return Set{}, &IssuerError{Status: a.status, Said: a.said(key)}
	case a.html():
		return Set{}, &IssuerError{Status: a.status, Err: fmt.Errorf("the answer %w", errHTML)}
	}
	s, err := parseJSON(a.body, i.Unwrap, a.at)
	if err != nil {
		return Set{}, &IssuerError{Status: a.status, Err: fmt.Errorf("the answer: %w", err)}
	}
	s.Source = i.String()
	return s, nil
}

// Locate is where the credentials are for: Place where that names a bucket, and
// else Place completed by what the issuer says when it is asked. Bucket is ""
// when neither names one.
func (i *Issuer) Locate(ctx context.Context) (Location, error) {
	if i.Place.Bucket != "" {
		return i.Place, nil
	}
	s, err := i.Fetch(ctx)
	if err != nil {
		return Location{}, err
	}
	said, err := Location{Bucket: s.Bucket, Prefix: s.Prefix, Region: s.Region, Endpoint: s.Endpoint}.normal()
	if err != nil {
		return Location{}, &IssuerError{Err: fmt.Errorf("the answer: %w", err)}
	}
	return Location{
		Bucket:   said.Bucket,
		Prefix:   cmp.Or(i.Place.Prefix, said.Prefix),
		Region:   cmp.Or(i.Place.Region, said.Region),
		Endpoint: cmp.Or(i.Place.Endpoint, said.Endpoint),
	}, nil
}

// request is the one to send, and the key in it.
func (i *Issuer) request(ctx context.Context) (*http.Request, Secret, error) {
	if strings.Contains(i.URL, "{workspace}") && i.Workspace == "" {
		return nil, "", errors.New("the issuer's URL needs a workspace, and none is given")
	}
	u, err := checkURL(strings.ReplaceAll(i.URL, "{workspace}", url.PathEscape(i.Workspace)))
	if err != nil {
		return nil, "", fmt.Errorf("the issuer's URL: %w", err)
	}
	var body io.Reader
	if i.Body != "" {
		body = strings.NewReader(i.Body)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(i.Method, http.MethodGet), u.String(), body)
	if err != nil {
		return nil, "", errors.New("the issuer's method or URL can't be used")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	key, err := i.key()
	if err != nil || key == "" {
		return req, "", err
	}
	value := string(key)
	if i.Bearer && !strings.HasPrefix(strings.ToLower(value), "bearer ") {
		value = "Bearer " + value
	}
	req.Header.Set(cmp.Or(i.Header, "Authorization"), value)
	return req, key, nil
}

// key is the header's value: "" where the issuer wants none.
func (i *Issuer) key() (Secret, error) {
	switch {
	case i.HeaderFile != "":
		return ReadKey(i.HeaderFile)
	case i.HeaderEnv != "":
		get := i.Getenv
		if get == nil {
			get = os.Getenv
		}
		return CheckKey(i.HeaderEnv, get(i.HeaderEnv))
	default:
		return "", nil
	}
}

// CheckKey takes blanks off, and says what is wrong by length only. Go's own
// error for a header that can't be sent would quote it.
func CheckKey(where, text string) (Secret, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if text == "" {
		return "", fmt.Errorf("%s is empty", where)
	}
	for _, r := range text {
		if r < 0x20 || r > 0x7e {
			return "", fmt.Errorf("%s (%d characters) holds a line end, or a character that no key has", where, len([]rune(text)))
		}
	}
	return Secret(text), nil
}

// ReadKey reads a file that holds a key and nothing else.
func ReadKey(path string) (Secret, error) {
	text, err := readPrivate(path, 64<<10)
	if err != nil {
		return "", err
	}
	return CheckKey(path, string(text))
}

var _ Source = (*Issuer)(nil)
