//go:build soak

package integration_test

import (
	"flag"
	"net/http"
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

// generation is how many reloads keep the server: long enough for it to be replaced when it
// hangs.
const generation = 20

var further = []habit{(*worker).hangs}

// hangs is a server that reads and writes nothing any more. It is rare, since whoever shares
// it waits in vain until the gateway replaces it.
func (w *worker) hangs(p *peer) {
	if w.random.IntN(20) > 0 {
		return
	}
	a, err := p.try(http.MethodPost, p.toolCall(w.mark(), "freeze", object{"count": 60_000}))
	if !w.judge("hang", a, err, "") {
		w.t.Errorf("%s: a server that hangs answers: %s", w.name, a.body)
	}
}
