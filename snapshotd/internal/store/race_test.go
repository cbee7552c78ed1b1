//go:build race

package store

// SQLite takes some ten times as long under the detector. What is about goroutines keeps
// more of them than wait for one another, and what is about files and processes is made
// in full without it.
func init() {
	raceDetector = true
	*users /= 5
}
