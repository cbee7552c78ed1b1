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

// generation is how many reloads keep the server that is configured. With each new one all
// sessions end.
const generation = 4

// further is what clients and servers do beside the rest.
var further []habit
