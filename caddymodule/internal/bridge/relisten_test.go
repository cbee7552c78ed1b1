package bridge

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The next process may refuse some of what a session is subscribed to. It is told of the rest.
func TestAResourceThatTheNextProcessRefusesKeepsASessionFromNoOther(t *testing.T) {
	less := filepath.Join(t.TempDir(), "less")
	g := open(t, nil, append(modernOnly, "TEST_LESS_IF="+less)...)
	header := g.session("alice")
	for n, uri := range []string{"a://b", "picky://", "c://d"} {
		g.post(subscribing(fmt.Sprint(n), "subscribe", uri), header...).holds(http.StatusOK, `"result":{}`)
	}
	if err := os.WriteFile(less, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.process().end("the test")
	g.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, header...).body()
	s, p := g.find(header), g.process()
	g.until("it listens to the rest", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for l := range p.listeners {
			return len(l.wants.URIs) == 2 && l.wants.Tools && slices.Contains(l.wants.URIs, "a://b") && slices.Contains(l.wants.URIs, "c://d")
		}
		return false
	})
	g.until("it asks for no more", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.share.uris) == 2 && !s.share.uris["picky://"]
	})
	stream := g.get(t.Context(), header...)
	g.tells("alice", updatedFor("c://d/e", "$listen"))
	for data := " "; data != ""; {
		if _, data = stream.next(); data == `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{},"uri":"c://d/e"}}` {
			return
		}
	}
	t.Error("it is not told")
}
