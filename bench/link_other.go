//go:build !linux

package main

import (
	"context"
	"io"

	"agent/bench/shaped"
)

func benchLink(context.Context, []string, io.Writer, io.Writer) error { return shaped.ErrUnable }
