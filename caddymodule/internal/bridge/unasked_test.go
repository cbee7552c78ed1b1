package bridge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// having is a modern tools/call of a client with these capabilities.
func having(capabilities, id, name, args string, header ...string) (string, []string) {
	body, header := modernTool(id, name, args, header...)
	return strings.Replace(body, `clientCapabilities":{}`, `clientCapabilities":`+capabilities, 1), header
}

const served = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"child","version":"1"}},"done":true}}`

// What a legacy server says that has no meaning in the modern era stays in the gateway: nobody was
// told of its question by that id, and no call is open that an elicitation without one belongs to.
func TestAModernClientIsNotToldWhatItsEraDoesNotKnow(t *testing.T) {
	g := open(t, nil, legacyChild)
	g.modernTool(`1`, "own", saying(
		`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"1"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q1"}}`,
		answered,
	)).is(http.StatusOK, served)
}

// A legacy server that is told of other roots asks for them at once, when no call is open.
func TestALegacyServerIsNotToldThatAModernClientHasOtherRoots(t *testing.T) {
	for server, want := range map[string]int{legacyChild: 0, discoverVar + "=modern": 1} {
		g := sharing(t, PerUser, nil, server)
		for _, method := range []string{rootsChanged, "notifications/own"} {
			resp := g.post(`{"jsonrpc":"2.0","method":"`+method+`"}`, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
			if resp.body(); resp.StatusCode != http.StatusAccepted {
				t.Errorf("%s: %d", method, resp.StatusCode)
			}
		}
		g.log.read(t, "notifications/own")
		if n := g.log.count(rootsChanged); n != want {
			t.Errorf("%s: the server was told %d times, want %d", server, n, want)
		}
	}
}

// A server that all share may speak of another user's call that has just ended.
func TestASharedServersWordsAreNotTakenForTheOnlyCalls(t *testing.T) {
	for _, server := range []string{discoverVar + "=modern", legacyChild} {
		g := openPer(t, PerShared, nil, server)
		body, header := modernTool(`1`, "own", saying(
			`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"secret"}}`,
			`{"jsonrpc":"2.0","method":"notifications/vendor","params":{"data":"secret"}}`,
			answered,
		))
		body = strings.Replace(body, `"progressToken":"tok"`, `"io.modelcontextprotocol/logLevel":"debug"`, 1)
		resp := g.post(body, header...)
		if text := resp.body(); !strings.Contains(text, `"done":true`) || strings.Contains(text, "secret") {
			t.Errorf("%s: %s", server, text)
		}
	}
}

func TestAServerOfAllUsersCanAskNoModernClient(t *testing.T) {
	g := sharing(t, PerShared, nil, legacyChild)
	body, header := capable(`1`, "hold", saying(questionLine), "")
	g.post(body, header...).holds(http.StatusOK, `"heard":{"code":-32601`)
	if line := g.log.read(t, `"initialize"`); !strings.Contains(line, `"capabilities":{}`) {
		t.Errorf("the server was told of capabilities: %s", line)
	}
}

// A client is asked what it has declared that it can be asked.
func TestAModernClientIsAskedOnlyWhatItDeclares(t *testing.T) {
	const sampling = `{"jsonrpc":"2.0","id":"q1","method":"sampling/createMessage","params":{}}`
	const vendor = `{"jsonrpc":"2.0","id":"q1","method":"vendor/ask","params":{}}`
	url := `{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":` + urlParams + `}`
	for capabilities, may := range map[string]map[string]bool{
		`{"elicitation":{}}`:                      {questionLine: true, url: false, sampling: false, secondLine: false, vendor: false},
		`{"elicitation":{"url":{}}}`:              {questionLine: false, url: true},
		`{"elicitation":{"form":{},"url":{}}}`:    {questionLine: true, url: true},
		`{"sampling":{"tools":{}}}`:               {sampling: true, questionLine: false},
		`{"roots":{"listChanged":true}}`:          {secondLine: true, sampling: false},
		`{"elicitation":{},"extensions":{"x":1}}`: {questionLine: true},
	} {
		g := open(t, nil, legacyChild)
		for question, asked := range may {
			body, header := having(capabilities, `1`, "hold", saying(question))
			want := `"heard":{"code":-32601`
			if asked {
				want = `"resultType":"input_required"`
			}
			g.post(body, header...).holds(http.StatusOK, want)
		}
	}
}

// A user is sent to a URL in either direction, and says so.
func TestAURLIsAskedForInMidCall(t *testing.T) {
	t.Run("of a modern client", func(t *testing.T) {
		g := open(t, nil, legacyChild)
		args := saying(`{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":` + urlParams + `}`)
		body, header := having(`{"elicitation":{"url":{}}}`, `1`, "hold", args)
		text := g.post(body, header...).body()
		if !strings.Contains(text, `"inputRequests":{"input":{"method":"elicitation/create","params":`+urlParams+`}}`) {
			t.Fatalf("asked %s", text)
		}
		_, rest, _ := strings.Cut(text, `"requestState":"`)
		state, _, _ := strings.Cut(rest, `"`)
		body = strings.TrimSuffix(body, "}}") + "," + retry(state, `{"action":"accept"}`) + "}}"
		g.post(body, header...).holds(http.StatusOK, `"heard":{"action":"accept"}`)
	})
	t.Run("of a legacy client", func(t *testing.T) {
		g := open(t, nil, modernOnly...)
		header := g.asking("alice")
		resp := g.post(tool(`1`, "opens", ``), header...)
		resp.says("") // where it would resume
		resp.says(`{"id":"snapgate-1","jsonrpc":"2.0","method":"elicitation/create","params":` + urlParams + `}`)
		g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"accept"}}`, header...)
		resp.says(`{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","opened":true}}`)
		g.log.read(t, `"requestState":"opening"`, `"inputResponses":{"open":{"action":"accept"}}`)
	})
	t.Run("of a legacy client that shares its server", func(t *testing.T) {
		g := sharing(t, PerUser, nil)
		header := g.asking("alice")
		question := `{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":` + urlParams + `}`
		g.post(tool(`1`, "hold", saying(question)), header...).holds(http.StatusOK, `"heard":{"code":-32601`) // forms only
		resp := g.post(strings.Replace(initializeRequest, `"capabilities":{}`, `"capabilities":{"elicitation":{"url":{}}}`, 1))
		resp.body()
		header = []string{"Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25"}
		resp = g.post(tool(`1`, "hold", saying(question)), header...)
		resp.says("") // where it would resume
		resp.says(renamed(question, 1))
	})
}

// A process is not ended for want of use while somebody waits for what it reports.
func TestAProcessThatReportsIsInUse(t *testing.T) {
	for name, env := range map[string][]string{"legacy": {trace}, "modern": modernOnly} {
		g := openPer(t, PerUser, nil, env...)
		header := g.session("alice")
		idle := func() bool {
			p := g.process()
			p.mu.Lock()
			p.lastUsed = time.Now().Add(-2 * DefaultIdleTimeout)
			p.mu.Unlock()
			p.reap()
			return !p.conn.Open()
		}
		g.post(subscribing(`1`, "subscribe", "a://b"), header...).holds(http.StatusOK, `"id":1,"result":{}`)
		if idle() {
			t.Errorf("%s: it is ended under a subscription", name)
		}
		g.post(subscribing(`2`, "unsubscribe", "a://b"), header...).holds(http.StatusOK, `"id":2,"result":{}`)
		g.until(fmt.Sprintf("%s: it is given back, and ended", name), idle)
	}
}
