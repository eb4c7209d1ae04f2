package s3store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// ProxyError is a proxy that would not let a request through.
type ProxyError struct {
	Proxy  string // host and port
	Status int
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("proxy %s answered %d %s", e.Proxy, e.Status, http.StatusText(e.Status))
}

// redacted is an error whose text lost the proxy's password. What it wraps can
// still be asked for by errors.Is and As.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

func (h *HTTPClient) redact(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, secret := range h.secrets {
		clean = strings.ReplaceAll(clean, secret, "***")
	}
	if clean == text {
		return err
	}
	return &redacted{text: clean, err: err}
}

// wsaRefused is Windows' number for a refused connection, to which
// syscall.ECONNREFUSED does not compare equal there.
const wsaRefused = syscall.Errno(10061)

// Advice is one line on what to do about a network error; "" where there is
// nothing better than the error itself.
func Advice(err error) string {
	if err == nil {
		return ""
	}
	if s := adviceTLS(err); s != "" {
		return s
	}
	var (
		proxy *ProxyError
		dns   *net.DNSError
		op    *net.OpError
	)
	through := errors.As(err, &op) && op.Op == "proxyconnect"
	switch {
	case errors.As(err, &proxy) && proxy.Status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("the proxy %s wants a name and a password: set HTTPS_PROXY=http://user:password@%s", proxy.Proxy, proxy.Proxy)
	case proxy != nil:
		return fmt.Sprintf("the proxy %s lets nothing through to this address: see HTTPS_PROXY and NO_PROXY", proxy.Proxy)
	case errors.As(err, &dns) && dns.IsNotFound && through:
		return fmt.Sprintf("the proxy's name %q is not known: see HTTPS_PROXY", dns.Name)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("no host is called %q: check the endpoint, the bucket's and the region's spelling, and the network", dns.Name)
	case refused(err) && through:
		return "nothing listens at the proxy's address: see HTTPS_PROXY"
	case refused(err):
		return "nothing listens at that address and port: check the endpoint, and that the server runs"
	}
	return ""
}

func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaRefused)
}

// remoteAlert is how crypto/tls calls what the other side objects to.
const remoteAlert = "remote error"

func adviceTLS(err error) string {
	var (
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   *net.OpError
	)
	switch {
	case errors.As(err, &name):
		return "the server's certificate is for another name: check the endpoint"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired, or is not valid yet: check this machine's clock"
	case errors.As(err, &unknown), errors.As(err, &verify):
		return "nobody that this machine trusts signed the server's certificate: set AWS_CA_BUNDLE to a PEM file with the certificate of your store's or your proxy's authority"
	case errors.As(err, &alert) && alert.Op == remoteAlert:
		return "the server broke off the TLS connection: it has to speak TLS 1.2 or newer"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the server does not speak TLS at this port: use an http:// endpoint, or the https port"
	}
	return ""
}
