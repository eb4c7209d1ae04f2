package main

import (
	"context"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"agent/cmd/internal/joblog"
	"agent/creds"
)

// hushed is a provider whose secrets are known to the redactor before anybody
// can use them, and so repeat them.
type hushed struct {
	*creds.Provider
	redact *joblog.Redactor
	last   atomic.Pointer[aws.Credentials] // what was registered last
}

// Retrieve is the provider's.
func (h *hushed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return h.hush(h.Provider.Retrieve(ctx))
}

// Wait is the provider's.
func (h *hushed) Wait(ctx context.Context) (aws.Credentials, error) {
	return h.hush(h.Provider.Wait(ctx))
}

// Another is the provider's.
func (h *hushed) Another(ctx context.Context, accessKeyID string, useless bool) (aws.Credentials, error) {
	return h.hush(h.Provider.Another(ctx, accessKeyID, useless))
}

func (h *hushed) hush(c aws.Credentials, err error) (aws.Credentials, error) {
	last := h.last.Load()
	if err == nil && (last == nil || last.SecretAccessKey != c.SecretAccessKey || last.SessionToken != c.SessionToken) {
		h.redact.Redact(c.SecretAccessKey)
		h.redact.Redact(c.SessionToken)
		h.last.Store(&c)
	}
	return c, err
}
