//go:build long && linux

package main

import "testing"

// TestLongCommandsLeaveNothingOpen is TestCommandsLeaveNothingOpen at every instant.
func TestLongCommandsLeaveNothingOpen(t *testing.T) { leaveNothingOpen(t, 1) }
