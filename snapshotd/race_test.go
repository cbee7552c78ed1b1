//go:build race

package main

// The binary under test looks for races if the tests do.
func init() { buildFlags = append(buildFlags, "-race") }
