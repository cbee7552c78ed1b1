package bridge

import (
	"fmt"
	"strings"
	"testing"
)

// renamed is a question as the client of a session that shares its process reads it.
func renamed(line string, n int) string {
	return strings.Replace(line, `"q1"`, fmt.Sprintf(`"snapgate-%d"`, n), 1)
}

// A process that takes the place of another counts its questions from the same number: an
// answer to one of the other is no answer to them.
func TestALateAnswerMeetsNoQuestionOfTheNextProcess(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.asking("alice")
	resp := g.post(tool(`1`, "hold", saying(questionLine)), header...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	g.process().conn.Close("the test")
	resp.next() // its end
	g.until("the process is gone", func() bool { return g.bridge.Processes() == 0 })
	resp = g.post(tool(`2`, "hold", saying(questionLine)), header...)
	resp.says("")
	resp.says(renamed(questionLine, 2))
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"accept"}}`, header...)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-2","result":{"action":"decline"}}`, header...)
	resp.says(`{"jsonrpc":"2.0","id":2,"result":{"content":[],"heard":{"action":"decline"}}}`)
	if line := g.log.read(t, `"action":"decline"`); !strings.Contains(line, `"id":"q1"`) {
		t.Errorf("the server was told %s", line)
	}
}

// What a server withdraws, its client knows under another id.
func TestAQuestionIsWithdrawnByTheIDThatItsClientKnows(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.asking("alice")
	const withdrawn = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"r","requestId":"q1"}}`
	resp := g.post(tool(`1`, "own", saying(questionLine, withdrawn, answered)), header...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	resp.says(renamed(withdrawn, 1))
	resp.says(`{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	s := g.find(header)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.asked); n != 0 {
		t.Errorf("%d questions are open", n)
	}
}
