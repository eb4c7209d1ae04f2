package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/transfer"
	"agent/transfer/s3store"
)

// insecure is what is said, at every run and whatever else is silent, where the
// store's certificate is not checked.
const insecure = "--insecure: the store's certificate is not checked, so anybody on the way can read and change everything"

// warnInsecure says it before anything is done.
func warnInsecure(cmd *cobra.Command, name string) {
	if on, err := cmd.Flags().GetBool("insecure"); err == nil && on {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: WARNING: %s\n  name the certificate instead: AWS_CA_BUNDLE=FILE\n", name, insecure)
	}
}

// checkInsecure lets the check be left out for a store that was named, and never
// for AWS, whose certificates everybody can check.
func (c *connection) checkInsecure() error {
	if !c.o.insecure {
		return nil
	}
	if c.endpoint == "" || s3store.IsAWS(c.endpoint) {
		return &dest.Mistake{Msg: "--insecure is for a store of your own, and this one is AWS", Hint: "leave it out, or name the store: --endpoint URL"}
	}
	return nil
}

// sayInsecure tells those who read the log, and --json.
func (s *session) sayInsecure() {
	switch {
	case !s.connection.o.insecure:
	case s.o.json:
		s.event(transfer.Event{Kind: transfer.Notice, Text: insecure})
	default:
		s.log.Warn(insecure)
	}
}
