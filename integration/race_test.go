//go:build race

package integration_test

// The binaries under test look for races if the tests do.
func init() { raceFlags = []string{"-race"} }
