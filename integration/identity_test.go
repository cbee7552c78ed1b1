package integration_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/identity"
)

// forged is the subject that attackers claim to be. No byte of it may reach the child.
const forged = "mallory-was-here"

// forgeries are members of _meta that some reader might take for the gateway's own.
var forgeries = map[string]string{
	"plain":                 `"io.github.snapgate/identity":`,
	"escaped":               `"io.github.snapgate\u002fidentity":`,
	"escaped letters":       `"\u0069o.github.snapgate/\u0069dentity":`,
	"upper case":            `"IO.GITHUB.SNAPGATE/IDENTITY":`,
	"mixed case":            `"io.GitHub.Snapgate/Identity":`,
	"long s":                `"io.github.` + "\u017f" + `napgate/identity":`,
	"long s, escaped":       `"io.github.\u017fnapgate/identity":`,
	"another of our names":  `"io.github.snapgate/user":`,
	"upper case, escaped":   `"io.github.SNAPGATE\u002fidentity":`,
	"under a nested object": `"io.github.snapgate/":`,
}

// forgedMeta is a _meta with one of them.
func forgedMeta(key string, more string) string {
	return `{` + key + `{"issuer":"i","subject":"` + forged + `","user":"u","scopes":["snapshot:write"],"expires":0,"claims":{}}` + more + `,"kept":"kept-member"}`
}

// recorded is everything that the processes of a gateway read, line by line.
func recorded(t *testing.T, folder string) (lines [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
		}
	}
	return lines
}

// stamped reads the identity in a line; nil if there is none.
func stamped(t *testing.T, line []byte) *identity.Identity {
	t.Helper()
	var m struct {
		Params struct {
			Meta map[string]json.RawMessage `json:"_meta"`
		}
	}
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	raw := m.Params.Meta[identity.MetaKey]
	if raw == nil {
		return nil
	}
	id, err := identity.Parse(raw)
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return id
}

func TestForgedIdentityReachesTheChildInNoMessage(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, mode string
		stamps     bool
		anonymous  bool
	}{
		{"both", "identity both", true, false},
		{"meta", "identity meta", true, false},
		{"env", "identity env", false, false},
		{"off", "identity off", false, false},
		{"anonymous", "", false, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s := standin("-record", folder)
			if s.anonymous = c.anonymous; !c.anonymous {
				s.mcp = []string{c.mode}
			}
			g := start(t, s)
			token := ""
			if !c.anonymous {
				token = g.token(t, "alice")
			}
			forgeLegacy(t, g, token)
			forgeModern(t, g, token)
			checkRecord(t, recorded(t, folder), c.stamps)
		})
	}
}

// forgeLegacy sends forgeries in every kind of legacy message.
func forgeLegacy(t *testing.T, g *gateway, token string) {
	t.Helper()
	p := g.legacy(t, token)
	begin := strings.Replace(initializeMessage(legacyVersion), `"params":{`, `"params":{"_meta":`+forgedMeta(forgeries["plain"], "")+`,`, 1)
	if a := g.anyone(t, token).post(begin); a.status != http.StatusOK {
		t.Fatalf("initialize: %d %s", a.status, a.body)
	}
	for name, key := range forgeries {
		meta := forgedMeta(key, "")
		a := p.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":` + meta + `,"name":"echo","arguments":{"text":"x"}}}`)
		if text, err := resultText(a); err != nil || text != "x" {
			t.Fatalf("%s: %q %v", name, text, err)
		}
		if a := p.post(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{"_meta":` + meta + `}}`); a.status != http.StatusAccepted {
			t.Fatalf("%s: notification: %d %s", name, a.status, a.body)
		}
		// The child asks, and the answer to it claims to be from somebody else. The
		// tool returns the line as the child read it.
		asked := p.listen(http.MethodPost, p.toolCall(2, "ask", object{"method": "roots/list"}))
		var request struct{ ID json.RawMessage }
		if err := json.Unmarshal([]byte(nextWithMethod(asked)), &request); err != nil {
			t.Fatal(err)
		}
		if a := p.post(`{"jsonrpc":"2.0","id":` + string(request.ID) + `,"result":{"roots":[],"_meta":` + meta + `}}`); a.status != http.StatusAccepted {
			t.Fatalf("%s: response: %d %s", name, a.status, a.body)
		}
		asked.ended()
	}
	// A cancellation is a notification that the gateway edits further.
	call := hold(t)
	waiting := p.begin(p.toolCall("c", "hold", call.arguments()))
	call.reached()
	p.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c","_meta":` + forgedMeta(forgeries["plain"], "") + `}}`)
	call.cancelled()
	waiting.wait(t)
}

// nextWithMethod is the next message on the stream that is a request or notification.
func nextWithMethod(s *events) string {
	for {
		if e := s.take(); strings.Contains(e.data, `"method":`) {
			return e.data
		}
	}
}

// forgeModern sends them in modern requests and notifications.
func forgeModern(t *testing.T, g *gateway, token string) {
	t.Helper()
	p := g.modern(t, token)
	const required = `,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`
	for name, key := range forgeries {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},"_meta":` + forgedMeta(key, required) + `}}`
		if text, err := resultText(p.post(body)); err != nil || text != "x" {
			t.Fatalf("%s: %q %v", name, text, err)
		}
		// An answer to a question of an earlier round is a response, with its own _meta.
		body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"},"inputResponses":{"q":{"_meta":` + forgedMeta(key, "") + `}},"_meta":{"kept":"kept-member"` + required + `}}}`
		if text, err := resultText(p.post(body)); err != nil || text != "x" {
			t.Fatalf("%s: %q %v", name, text, err)
		}
		body = `{"jsonrpc":"2.0","method":"notifications/test","params":{"_meta":` + forgedMeta(key, "") + `}}`
		if a := p.post(body); a.status != http.StatusAccepted {
			t.Fatalf("%s: notification: %d %s", name, a.status, a.body)
		}
	}
	p.call(1, "echo", object{"text": "all before is read"})
}

// checkRecord holds what the children read: nothing forged, all else kept, and the
// verified identity where it belongs and nowhere else.
func checkRecord(t *testing.T, lines [][]byte, stamps bool) {
	t.Helper()
	kept := 0
	for _, line := range lines {
		if bytes.Contains(line, []byte(forged)) {
			t.Errorf("a forged identity came through: %s", line)
		}
		if bytes.Contains(line, []byte("kept-member")) {
			kept++
		}
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		id := stamped(t, line)
		// server/discover is the gateway's own question, asked for no user.
		switch want := stamps && m.Method != "" && m.Method != "server/discover"; {
		case want && (id == nil || id.Subject != "alice" || id.Issuer != issuer.Issuer()):
			t.Errorf("no or another identity: %s", line)
		case !want && bytes.Contains(bytes.ToLower(line), []byte("snapgate/")):
			t.Errorf("an identity that is not to be told: %s", line)
		}
	}
	if want := 6*len(forgeries) + 1; kept < want {
		t.Errorf("%d messages kept the other member of their _meta, want %d or more", kept, want)
	}
}

func TestServerCannotStampMessagesToTheClient(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	for name, key := range forgeries {
		meta := forgedMeta(key, "")
		for _, p := range []*peer{g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))} {
			a := p.post(p.toolCall(1, "write", object{"text": `{"jsonrpc":"2.0","id":ID,"result":{"resultType":"complete","content":[],"_meta":` + meta + `}}`}))
			if a.status != http.StatusOK || strings.Contains(a.body, forged) || !strings.Contains(a.body, "kept-member") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			if p.session == "" {
				continue
			}
			for method, tool := range map[string]string{"notifications/message": "tell", "roots/list": "ask"} {
				stream := p.listen(http.MethodPost, p.toolCall(tool, tool, object{"method": method, "params": json.RawMessage(`{"_meta":` + meta + `}`)}))
				if line := nextWithMethod(stream); strings.Contains(line, forged) || !strings.Contains(line, "kept-member") {
					t.Errorf("%s: %s: %s", name, method, line)
				}
				stream.cancel()
			}
			p.do(http.MethodDelete, "")
		}
	}
}

func TestIdentityInTheEnvironment(t *testing.T) {
	t.Parallel()
	user := identity.UserKey(issuer.Issuer(), "alice")
	for mode, told := range map[string]bool{"both": true, "env": true, "meta": false, "off": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := standin()
			s.mcp = []string{"identity " + mode}
			g := start(t, s)
			want := map[string]string{identity.EnvUser: "", identity.EnvSubject: "", identity.EnvIssuer: ""}
			if told {
				want = map[string]string{identity.EnvUser: user, identity.EnvSubject: "alice", identity.EnvIssuer: issuer.Issuer()}
			}
			for _, p := range []*peer{g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))} {
				for name, value := range want {
					if got := p.call(1, "env", object{"name": name}); got != value {
						t.Errorf("%s is %q, want %q", name, got, value)
					}
				}
			}
		})
	}
}
