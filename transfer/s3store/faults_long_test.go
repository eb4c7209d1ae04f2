//go:build long

package s3store

import (
	"flag"
	"testing"
)

var stepsEvery = flag.Int("steps.every", 2, "TestLongFaultJournal plays one of so many ways to end a step; 1 for all")

// TestLongFaultMatrix plays every cell of the fault matrix.
func TestLongFaultMatrix(t *testing.T) { playAll(t, faultCases()) }

// TestLongFaultJournal plays half the ways to end a step of the journal in every
// scene, or what -steps.every says; which, the seed says.
func TestLongFaultJournal(t *testing.T) { playSteps(t, *stepsEvery) }
