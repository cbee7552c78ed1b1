package bridge

import (
	"strings"
	"testing"
)

// A call may end, say since it took too long, just when it is made again with the client's input.
// The server is told that nobody waits for that either.
func TestACallThatEndsWhileItIsMadeAgainIsCancelled(t *testing.T) {
	g := open(t, nil, modernOnly...)
	s, _, _ := g.wanting()
	s.mu.Lock()
	var in *inCall
	for _, in = range s.calls {
	}
	s.mu.Unlock()
	s.cancelCall(in, "the test") // as is done first
	q := in.quest
	q.request = parsed(t, strings.Replace(string(q.request.Raw), `"wants"`, `"hold"`, 1))
	q.again()
	g.log.read(t, `"hold"`)
	q.close()
	g.log.read(t, "notifications/cancelled")
}
