package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestServerThatFailsToStart(t *testing.T) {
	t.Parallel()
	cases := map[string]site{
		"no such program": {command: []string{"/no/such/program"}},
		"exits at once":   {command: []string{"false"}},
		"says nothing":    standin("-mute"),
		"no folder":       {command: []string{standinBinary}, stdio: []string{"dir /no/such/folder"}},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.stdio = append(s.stdio, "start_timeout 300ms", "stop_timeout 300ms") // none starts, however long it has
			g := start(t, s)
			a := g.anyone(t, g.token(t, "alice")).post(initializeMessage(legacyVersion))
			if !a.has(http.StatusBadGateway) || a.code() != -32603 || string(a.reply(t).ID) != `"init"` || a.header.Get("Mcp-Session-Id") != "" {
				t.Errorf("legacy: %d %s", a.status, a.body)
			}
			p := g.modern(t, g.token(t, "alice"))
			a = p.post(p.toolCall("m", "echo", nil))
			if !a.has(http.StatusBadGateway) || a.code() != -32603 || string(a.reply(t).ID) != `"m"` {
				t.Errorf("modern: %d %s", a.status, a.body)
			}
			if strings.Contains(a.body, "/no/such") {
				t.Errorf("the client is told of the machine: %s", a.body)
			}
			await(t, "the end of what was started", func() bool { return len(g.processes(t)) == 0 })
		})
	}
}

func TestServerThatDiesInMidCall(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	token := g.token(t, "alice")
	dying, other := g.legacy(t, token), g.legacy(t, token)
	modern, another := g.modern(t, g.token(t, "bob")), g.modern(t, g.token(t, "carol"))
	pid := another.call(1, "pid", nil)

	for _, p := range []*peer{dying, modern} {
		a := p.post(p.toolCall("d", "die", nil))
		if r := a.reply(t); r.Error == nil || r.Error.Code != -32603 || string(r.ID) != `"d"` || !strings.Contains(r.Error.Message, "ended") {
			t.Errorf("the call: %d %s", a.status, a.body)
		}
	}
	if a := dying.post(dying.toolCall(2, "echo", nil)); a.status != http.StatusNotFound || a.code() != -32001 {
		t.Errorf("its session afterwards: %d %s", a.status, a.body)
	}
	if got := modern.call(2, "echo", object{"text": "again"}); got != "again" {
		t.Errorf("the next modern call: %q", got)
	}
	if got := other.call(2, "echo", object{"text": "unharmed"}); got != "unharmed" {
		t.Errorf("another session of the same user: %q", got)
	}
	if got := another.call(2, "pid", nil); got != pid {
		t.Errorf("another user's process is %s, was %s", got, pid)
	}
}

func TestMalformedAnswerFailsItsCallOnly(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	for _, p := range []*peer{g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))} {
		call := hold(t)
		waiting := p.begin(p.toolCall("w", "hold", call.arguments()))
		call.reached()
		a := p.post(p.toolCall("x", "write", object{"text": `{"jsonrpc":"2.0","id":ID,"result":{"a":1,"a":2}}`}))
		if r := a.reply(t); r.Error == nil || r.Error.Code != -32603 || string(r.ID) != `"x"` {
			t.Errorf("duplicate key from the server: %d %s", a.status, a.body)
		}
		call.release()
		if text, err := resultText(waiting.wait(t)); err != nil || text != "released" {
			t.Errorf("the other call: %q %v", text, err)
		}
	}
}

func TestStartsNoMoreProcessesThanItMay(t *testing.T) {
	t.Parallel()
	s := standin()
	s.stdio = []string{"max_processes 1"}
	g := start(t, s)
	p := g.legacy(t, g.token(t, "alice"))
	a := g.anyone(t, g.token(t, "bob")).post(initializeMessage(legacyVersion))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("the second: %d %s", a.status, a.body)
	}
	p.do(http.MethodDelete, "")
	await(t, "room for another", func() bool {
		return g.anyone(t, g.token(t, "bob")).post(initializeMessage(legacyVersion)).status == http.StatusOK
	})
}

// What separates users must not be chosen by them: a subject that would leave the folder
// starts nothing.
func TestSubjectThatIsNoFileNameStartsNothing(t *testing.T) {
	t.Parallel()
	s := standin()
	s.stdio = []string{"env DATA /data/{mcp.subject}/file"}
	g := start(t, s)
	statuses := map[string]int{
		"../bob": 502, "a/b": 502, `a\b`: 502, ".": 502, "-rf": 502,
		"a\nb": 401, "a\u0000b": 401, // no issuer names its users so: the token itself is no good
	}
	for subject, status := range statuses {
		if a := g.anyone(t, g.token(t, subject)).post(initializeMessage(legacyVersion)); a.status != status {
			t.Errorf("subject %q: %d %s", subject, a.status, a.body)
		}
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes", n)
	}
	for subject, want := range map[string]string{"alice": "/data/alice/file", "{env.HOME}": "/data/{env.HOME}/file"} {
		if got := g.legacy(t, g.token(t, subject)).call(1, "env", object{"name": "DATA"}); got != want {
			t.Errorf("subject %q: %q, want %q", subject, got, want)
		}
	}
}
