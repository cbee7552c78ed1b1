package integration_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const subscriptionID = "io.modelcontextprotocol/subscriptionId"

// subscribe opens subscriptions/listen and takes the acknowledgement.
func (p *peer) subscribe(id string) *events {
	p.t.Helper()
	s := p.listen(http.MethodPost, p.message(id, "subscriptions/listen", object{"notifications": object{"resourcesListChanged": true}}))
	sseHeaders(p.t, s)
	p.subscribed(s, id, "notifications/subscriptions/acknowledged")
	return s
}

// subscribed takes the next event and holds that it is of this subscription.
func (p *peer) subscribed(s *events, id, method string) {
	p.t.Helper()
	var m struct {
		Method string
		Params struct {
			Meta map[string]any `json:"_meta"`
		}
	}
	e := s.take()
	if err := json.Unmarshal([]byte(e.data), &m); err != nil || m.Method != method || m.Params.Meta[subscriptionID] != id {
		p.t.Errorf("event %q, want %s of %s, %v", e.data, method, id, err)
	}
}

func TestSubscriptionsAreTheirOwnersOnly(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	alice, bob := g.modern(t, g.token(t, "alice")), g.modern(t, g.token(t, "bob"))
	// All use the same id, two of them with the same process.
	streams := map[*peer][]*events{alice: {alice.subscribe("sub"), alice.subscribe("sub")}, bob: {bob.subscribe("sub")}}
	// The server has one for both of alice's clients, so that none has to take turns.
	if n := alice.call("sub", "publish", nil); n != "1" {
		t.Fatalf("alice's process has %s subscriptions", n)
	}
	const changed = "notifications/resources/list_changed"
	for _, s := range streams[alice] {
		alice.subscribed(s, "sub", changed)
	}
	bob.call("sub", "publish", nil)
	bob.subscribed(streams[bob][0], "sub", changed) // the first it gets
	streams[bob][0].cancel()
	await(t, "the end of bob's subscription", func() bool { return bob.call("x", "publish", nil) == "0" })

	// Closing a stream ends nothing of the other.
	streams[alice][0].cancel()
	if n := alice.call("x", "publish", nil); n != "1" {
		t.Errorf("alice's process has %s subscriptions", n)
	}
	alice.subscribed(streams[alice][1], "sub", changed)

	// The server ends the rest: the client gets the result.
	alice.call("x", "unlisten", nil)
	rest := streams[alice][1].ended()
	if len(rest) == 0 {
		t.Fatal("the subscription ended without a word")
	}
	last := rest[len(rest)-1].data
	if r := (answer{body: last}).reply(t); string(r.ID) != `"sub"` || r.Error != nil || !strings.Contains(string(r.Result), subscriptionID) {
		t.Errorf("the last event is %s", last)
	}
}

func TestSubscriptionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := standin()
	s.oauth = []string{"clock_skew 0s"}
	g := start(t, s)
	var stream *events
	g.endingSoon(t, func(token string) bool {
		p := g.modern(t, token)
		stream = p.listen(http.MethodPost, p.message("sub", "subscriptions/listen", object{"notifications": object{"resourcesListChanged": true}}))
		first, open := stream.tryTake()
		return open && decode(t, first.data).Method == "notifications/subscriptions/acknowledged"
	})
	rest := stream.ended()
	if len(rest) != 1 || (answer{body: rest[0].data}).reply(t).Result == nil {
		t.Errorf("events %v", rest)
	}
}
