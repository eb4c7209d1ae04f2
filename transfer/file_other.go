//go:build !linux

package transfer

import "os"

func openRead(path string) (*os.File, error) { return os.Open(path) }
