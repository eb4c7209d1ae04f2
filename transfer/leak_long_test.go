//go:build long

package transfer_test

import "testing"

// TestLongCutAnywhere is TestCutAnywhere at every step.
func TestLongCutAnywhere(t *testing.T) { cutAnywhere(t, 1) }
