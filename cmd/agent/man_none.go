//go:build !man

package main

import "github.com/spf13/cobra"

// moreCommands are those of builds for a purpose: none here.
func moreCommands() []*cobra.Command { return nil }
