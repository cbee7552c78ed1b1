package bridge

import (
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// fill leaves no room in the queue of a server that reads nothing.
func fill(t *testing.T, conn *backend.Conn) {
	t.Helper()
	if err := conn.Send(parsed(t, `{"jsonrpc":"2.0","method":"notifications/own","params":{"fill":"`+strings.Repeat("x", 2<<20)+`"}}`), nil); err != nil {
		t.Fatal(err)
	}
}

// What a client says to a question is not lost where the server does not keep up: the client is
// told so, or asked again, and the question stays open.
func TestAnAnswerThatTheServerHasNoRoomForIsStillExpected(t *testing.T) {
	g := open(t, nil)
	header := g.asking("alice")
	call := g.post(tool(`1`, "hang", saying(questionLine)), header...)
	call.says("") // where it would resume
	call.says(questionLine)
	fill(t, g.find(header).conn)
	for range 2 {
		g.post(`{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}`, header...).holds(http.StatusServiceUnavailable, "does not keep up")
	}
}

func TestInputThatTheServerHasNoRoomForIsAskedForAgain(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	body, header := capable(`1`, "hang", args, "")
	state := g.asks("elicitation/create", body, header...)
	fill(t, g.process().conn)
	body, header = capable(`2`, "hang", args, retry(state, `{"action":"accept"}`))
	if next := g.asks("elicitation/create", body, header...); next == state {
		t.Error("the state is the one that was used")
	}
}
