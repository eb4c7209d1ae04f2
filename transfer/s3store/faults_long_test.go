//go:build long

package s3store

import "testing"

// TestLongFaultMatrix plays every cell of the fault matrix.
func TestLongFaultMatrix(t *testing.T) { playAll(t, faultCases()) }

// TestLongFaultJournal plays a quarter of the steps of the journal in every scene;
// which, the seed says.
func TestLongFaultJournal(t *testing.T) { playSteps(t, 4) }
