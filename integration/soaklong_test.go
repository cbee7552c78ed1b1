//go:build soak

package integration_test

import (
	"flag"
	"testing"
	"time"
)

var minutes = flag.Float64("minutes", 10, "how long to soak, in minutes")

// soakTime is what the flag says.
func soakTime(t *testing.T) time.Duration {
	if *minutes <= 0 {
		t.Fatalf("-minutes: %v is not above zero", *minutes)
	}
	return time.Duration(*minutes * float64(time.Minute))
}
