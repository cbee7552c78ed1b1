package bridge

import (
	"fmt"
	"strings"
	"testing"
)

// A call may end, say since it took too long, just when it is made again with the client's input.
// The server is told that nobody waits for that either.
func TestACallThatEndsWhileItIsMadeAgainIsCancelled(t *testing.T) {
	g := open(t, nil, modernOnly...)
	s, _, _ := g.wanting()
	in := s.onlyCall()
	s.cancelCall(in, "the test") // as is done first
	q := in.quest
	q.request = parsed(t, strings.Replace(string(q.request.Raw), `"wants"`, `"hold"`, 1))
	q.again()
	g.log.read(t, `"hold"`)
	q.close()
	g.log.read(t, "notifications/cancelled")
}

// onlyCall is the call of the session that is in flight.
func (s *session) onlyCall() (in *inCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in = range s.calls {
	}
	return in
}

// A server that asks again and again, or for more than anybody could answer, does not keep a client
// busy for ever.
func TestAServerMayAskSoOftenAndSoMuch(t *testing.T) {
	g := open(t, nil, modernOnly...)
	s, header, resp := g.wanting()
	q := s.onlyCall().quest
	for n, tooMany := range map[int]bool{maxQuestions: false, maxQuestions + 1: true} {
		var asks []string
		for i := range n {
			asks = append(asks, fmt.Sprintf(`"%d":{"method":"roots/list"}`, i))
		}
		other := &quest{s: s, in: &inCall{stream: &stream{lost: s.lost}}}
		err := other.ask(parsed(t, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{`+strings.Join(asks, ",")+`}}}`))
		if (err != nil) != tooMany {
			t.Errorf("%d questions at once: %v", n, err)
		}
	}
	q.mu.Lock()
	q.rounds = maxRounds
	q.mu.Unlock()
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"cancel"}}`, header...)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-2","result":{"roots":[]}}`, header...)
	if _, data := resp.next(); !strings.Contains(data, "has asked 32 times in one call") {
		t.Errorf("after one round too many: %s", data)
	}
}
