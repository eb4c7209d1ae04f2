//go:build long

package s3store

import "testing"

// TestLongFaultMatrix plays every cell of the fault matrix.
func TestLongFaultMatrix(t *testing.T) { playAll(t, faultCases()) }

// TestLongFaultJournal plays every step of the journal in every scene.
func TestLongFaultJournal(t *testing.T) { playSteps(t, 1) }
