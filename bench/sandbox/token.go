package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// tokenTimeout bounds the whole call; the API is on this machine.
const tokenTimeout = 30 * time.Second

// maxTokenAnswer is more than an answer or an error text ever has, in bytes.
const maxTokenAnswer = 64 << 10

// runToken mints a token from a running sandbox and prints it, by default in
// the form an AWS credential_process prints.
func runToken(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("sandbox token", flag.ContinueOnError)
	fs.SetOutput(stderr)
	api := fs.String("api", os.Getenv("AGENT_SANDBOX_API"), "API `URL` ($AGENT_SANDBOX_API)")
	key := fs.String("api-key", os.Getenv("AGENT_SANDBOX_API_KEY"), "API `key` ($AGENT_SANDBOX_API_KEY)")
	workspace := fs.String("workspace", os.Getenv("AGENT_SANDBOX_WORKSPACE"), "workspace `name` ($AGENT_SANDBOX_WORKSPACE)")
	format := fs.String("format", "process", "output: process, env or json")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	write, ok := tokenFormats[*format]
	switch {
	case !ok:
		return &usageError{fmt.Errorf("--format %q: must be process, env or json", *format)}
	case *api == "" || *key == "" || *workspace == "":
		return &usageError{fmt.Errorf("--api, --api-key and --workspace are needed")}
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	c, err := fetchToken(ctx, *api, *key, *workspace)
	if err != nil {
		return err
	}
	return write(stdout, c)
}

// fetchToken asks the platform's API for credentials. It never follows a
// redirect, which would carry the key elsewhere.
func fetchToken(ctx context.Context, api, key, workspace string) (credentials, error) {
	var c credentials
	target, err := url.JoinPath(api, "workspaces", workspace, "me", "s3-tokens")
	if err != nil {
		return c, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil) //nolint:gosec // the user names the API
	if err != nil {
		return c, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req) //nolint:gosec // likewise
	if err != nil {
		return c, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return c, err
	}
	if resp.StatusCode != http.StatusOK {
		return c, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return c, json.Unmarshal(body, &c)
}

var tokenFormats = map[string]func(io.Writer, credentials) error{
	"process": func(w io.Writer, c credentials) error {
		return json.NewEncoder(w).Encode(struct { //nolint:gosec // printing credentials is what it is for
			Version         int
			AccessKeyId     string
			SecretAccessKey string
			SessionToken    string
			Expiration      string
		}{1, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expiration})
	},
	"env": func(w io.Writer, c credentials) error {
		for _, v := range c.variables() {
			if _, err := fmt.Fprintf(w, "%s=%s\n", v.name, v.value); err != nil {
				return err
			}
		}
		return nil
	},
	"json": func(w io.Writer, c credentials) error {
		return json.NewEncoder(w).Encode(c) //nolint:gosec // printing credentials is what it is for
	},
}
