//go:build race

package integration_test

import "os"

// The binaries under test look for races if the tests do.
func init() {
	raceFlags = []string{"-race"}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", promptExit) // for what inherits it; this process has read its own
	}
}
