package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
)

// environment is where and how to reach a serving sandbox.
type environment struct {
	options     options
	rootSecret  string
	s3Addr      string           // host:port
	apiAddr     string           // host:port
	certificate *tls.Certificate // nil: http
	caFile      string           // with a certificate
}

// variable is one line of an environment.
type variable struct{ name, value string }

// variables are what a client needs, without session credentials.
func (e *environment) variables() []variable {
	scheme := "http"
	if e.certificate != nil {
		scheme = "https"
	}
	vars := []variable{
		{"AWS_ENDPOINT_URL", scheme + "://" + e.s3Addr},
		{"AWS_REGION", e.options.region},
		{"AWS_DEFAULT_REGION", e.options.region}, // what older tools read
	}
	if e.caFile != "" {
		vars = append(vars, variable{"AWS_CA_BUNDLE", e.caFile})
	}
	return append(vars,
		variable{"AGENT_SANDBOX_API", "http://" + e.apiAddr + "/api"},
		variable{"AGENT_SANDBOX_API_KEY", e.options.apiKey},
		variable{"AGENT_SANDBOX_WORKSPACE", e.options.workspace},
		variable{"AGENT_SANDBOX_BUCKET", e.options.bucket},
		variable{"AGENT_SANDBOX_ROOT_ACCESS_KEY", rootAccessKey},
		variable{"AGENT_SANDBOX_ROOT_SECRET_KEY", e.rootSecret},
	)
}

// announce tells that the sandbox serves: in the environment file, then on
// stdout, whose last line is "sandbox: ready".
func (e *environment) announce(stdout io.Writer, s session) error {
	vars := e.variables()
	if e.options.envFile != "" {
		var b bytes.Buffer
		for _, v := range vars {
			fmt.Fprintf(&b, "%s=%s\n", v.name, v.value)
		}
		if err := writeFileAtomic(e.options.envFile, b.Bytes()); err != nil {
			return fmt.Errorf("environment file: %w", err)
		}
	}
	var b strings.Builder
	for _, v := range append(vars, s.variables()...) {
		fmt.Fprintf(&b, "export %s=%s\n", v.name, shellQuote(v.value))
	}
	b.WriteString("sandbox: ready\n")
	_, err := io.WriteString(stdout, b.String())
	return err
}

// variables are the session's credentials under the names AWS tools read.
func (s session) variables() []variable {
	return s.credentials().variables()
}

func (c credentials) variables() []variable {
	return []variable{
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
		{"AWS_SESSION_TOKEN", c.SessionToken},
		{"AWS_CREDENTIAL_EXPIRATION", c.Expiration},
	}
}

// shellQuote quotes a value that a shell would not take as it is.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:+=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// quiet drops what net/http logs about clients that break off a handshake or a
// request, which is what tests do all day.
type quiet struct{ io.Writer }

func (q quiet) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("TLS handshake error")) {
		return len(p), nil
	}
	return q.Writer.Write(p)
}
