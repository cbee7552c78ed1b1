//go:build !linux

package integration_test

import (
	"os/exec"
	"testing"
)

const markName = "INTEGRATION_MARK"

// countsProcesses skips tests that count processes. No setting turns this skip into a
// failure: there is no program to install that would give the system a /proc.
func countsProcesses(t testing.TB) {
	t.Helper()
	t.Skip("skipped: it counts processes in /proc, which only Linux has")
}

func endWithTests(*exec.Cmd) {} // nothing of this system would do it

// What cannot be counted is taken to be nothing. Tests that count are skipped.

func (g *gateway) processes(testing.TB) []int { return nil }
func (g *gateway) zombies(testing.TB) []int   { return nil }
func (g *gateway) threads(testing.TB) int     { return 0 }
func (g *gateway) files(testing.TB) int       { return 0 }
func (g *gateway) listeners(testing.TB) int   { return 0 }
func alive(int) bool                          { return false }
