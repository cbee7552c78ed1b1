//go:build !soak

package integration_test

import (
	"testing"
	"time"
)

// soakTime is a short form. With -tags soak it is a flag.
func soakTime(*testing.T) time.Duration {
	if testing.Short() {
		return 3 * time.Second
	}
	return 10 * time.Second
}
