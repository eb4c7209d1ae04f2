//go:build !linux

package shaped

import "context"

func able() error { return ErrUnable }

// New fails here.
func New(context.Context, Options) (*Link, error) { return nil, ErrUnable }

// Close has nothing to do.
func (l *Link) Close() error { return nil }
