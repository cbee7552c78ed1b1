//go:build race

package tools

func init() { raceDetector = true }
