//go:build !unix

package main

// noCoreDumps is for systems that write them.
func noCoreDumps() {}
