package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// ruled is a server with a catalog of which parts are for those with a scope, or for nobody.
func ruled(more ...string) site {
	s := standin("-catalog")
	s.mcp = append([]string{
		"scopes {",
		"	base tools:use",
		"	tool echo tools:more",
		"	deny tool die",
		"	prompt review tools:more",
		"	deny prompt debug",
		"	resource file:///srv/secret/* tools:more",
		"	deny resource file:///srv/keys/*",
	}, more...)
	s.mcp = append(s.mcp, "}")
	return s
}

// pages are the lists of the catalog as they must come through, to the byte: those of the
// user without the scope, and of the one who has it.
var pages = map[string][2][2]string{
	"tools/list": {
		{`"tools" : [ {"name":"pid" , "inputSchema":{"type":"object","maximum":1e400}} ] , "nextCursor" : "2"`,
			`"tools":[{"name":"env","title":"\u00e9","big":12345678901234567890,"inputSchema":{"type":"object"}}]`},
		{`"tools" : [ {"name":"pid" , "inputSchema":{"type":"object","maximum":1e400}} ,{"inputSchema":{"type":"object","properties":{"text":{"type":"string","x-mcp-header":"Text"}}},"name":"ec\u0068o"} ] , "nextCursor" : "2"`,
			`"tools":[{"name":"env","title":"\u00e9","big":12345678901234567890,"inputSchema":{"type":"object"}}]`},
	},
	"prompts/list": {
		{`"prompts":[],"nextCursor":"2"`, `"prompts":[{"name":"greet","arguments":[{"name":"debug"}]}]`},
		{`"prompts":[],"nextCursor":"2"`, `"prompts":[{"name":"greet","arguments":[{"name":"debug"}]},{"name":"review","b":2,"a":1}]`},
	},
	"resources/list": {
		{`"resources":[{"uri":"file:///srv/public/a","name":"a"}],"nextCursor":"2"`, `"resources":[{"uri":"file:///srv/public/e","name":"e"}]`},
		{`"resources":[{"uri":"file:///srv/public/a","name":"a"},{"uri":"file:///srv/secret/b","name":"b"}],"nextCursor":"2"`,
			`"resources":[{"uri":"file:///srv/public/../secret/c","name":"c"},{"uri":"file:///srv/public/e","name":"e"}]`},
	},
	"resources/templates/list": {
		{`"resourceTemplates":[],"nextCursor":"2"`, `"resourceTemplates":[{"uriTemplate":"file:///srv/public/{name}","name":"p"}]`},
		{`"resourceTemplates":[{"uriTemplate":"file:///srv/secret/{name}","name":"s"}],"nextCursor":"2"`, `"resourceTemplates":[{"uriTemplate":"file:///srv/public/{name}","name":"p"}]`},
	},
}

// eachPairing runs a test with clients and servers of both eras, whoever shares a process.
func eachPairing(t *testing.T, s site, test func(t *testing.T, g *gateway, client func(*gateway, testing.TB, string) *peer)) {
	clients := map[string]func(*gateway, testing.TB, string) *peer{"legacy": (*gateway).legacy, "modern": (*gateway).modern}
	for _, era := range []string{"legacy", "modern"} {
		for _, per := range []string{"session", "user", "shared"} {
			t.Run(fmt.Sprintf("%s server per %s", era, per), func(t *testing.T) {
				t.Parallel()
				s := s
				s.command = append(append([]string(nil), s.command...), "-era", era)
				s.stdio = []string{"per " + per}
				g := start(t, s)
				for name, client := range clients {
					t.Run(name+" client", func(t *testing.T) { test(t, g, client) })
				}
			})
		}
	}
}

func TestListsShowWhatTheirReaderMayUse(t *testing.T) {
	t.Parallel()
	eachPairing(t, ruled(), func(t *testing.T, g *gateway, client func(*gateway, testing.TB, string) *peer) {
		users := [2]*peer{client(g, t, g.token(t, "alice", "tools:use")), client(g, t, g.token(t, "alice", "tools:use", "tools:more"))}
		for method, of := range pages {
			for user, p := range users {
				for i, want := range of[user] {
					params := object{}
					if i > 0 {
						params["cursor"] = "2"
					}
					a := p.post(p.message(1, method, params))
					if a.status != http.StatusOK || !strings.Contains(a.body, want+"}}") || !strings.Contains(a.body, `"vendor":{"n":0.10}`) {
						t.Errorf("%s, page %d of user %d: %d %s\nwant %s", method, i+1, user, a.status, a.body, want)
					}
					if strings.Contains(a.body, "public\"") {
						t.Errorf("%s: others may keep what is of one user: %s", method, a.body)
					}
				}
			}
		}
	})
}

// A list that was shown to a token with more scopes is cut again for the one that asks for it by
// Last-Event-ID.
func TestListsAreReplayedAsTheirNewReaderMaySeeThem(t *testing.T) {
	t.Parallel()
	for name, filtered := range map[string]bool{"filter on": true, "filter off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, ruled(name))
			rich := g.legacy(t, g.token(t, "alice", "tools:use", "tools:more"))
			for method, of := range pages {
				stream := rich.listen(http.MethodPost, rich.message(method, method, object{"_meta": object{"progressToken": 1}}))
				first := stream.take()
				stream.ended()
				for user, token := range []string{g.token(t, "alice", "tools:use"), rich.token} {
					a := rich.as(token).do(http.MethodGet, "", set("Last-Event-ID", first.id))
					want := of[user][0]
					if a.status != http.StatusOK || filtered && !strings.Contains(a.body, want+"}}") || !filtered && !strings.Contains(a.body, uncut[method]) {
						t.Errorf("%s of user %d: %d %s\nwant %s", method, user, a.status, a.body, want)
					}
				}
			}
		})
	}
}

// uncut is what stands on the first page of each list, and not for the user without the scope.
var uncut = map[string]string{"tools/list": "die", "prompts/list": "debug", "resources/list": "srv/secret", "resources/templates/list": "srv/secret"}

// ruledRequest is about something that needs a scope, or that is denied.
type ruledRequest struct {
	name, method string
	params       object
	denied       bool
}

// What a list leaves out is refused to whoever asks for it all the same, and nothing of it
// comes to the server.
func TestWhatIsNotListedIsRefused(t *testing.T) {
	t.Parallel()
	eachPairing(t, ruled(), func(t *testing.T, g *gateway, client func(*gateway, testing.TB, string) *peer) {
		poor, rich := client(g, t, g.token(t, "bob", "tools:use")), client(g, t, g.token(t, "bob", "tools:use", "tools:more"))
		completion := func(ref object) object {
			return object{"ref": ref, "argument": object{"name": "a", "value": ""}}
		}
		requests := []ruledRequest{
			{"tool", "tools/call", object{"name": "echo", "arguments": object{}}, false},
			{"denied tool", "tools/call", object{"name": "die"}, true},
			{"prompt", "prompts/get", object{"name": "review"}, false},
			{"denied prompt", "prompts/get", object{"name": "debug"}, true},
			{"look-alike prompt", "prompts/get", object{"name": "Review"}, true},
			{"resource", "resources/read", object{"uri": "file:///srv/secret/b"}, false},
			{"resource by dots", "resources/read", object{"uri": "file:///srv/public/%2e%2e/secret/b"}, false},
			{"denied resource", "resources/read", object{"uri": "file:///srv/public/..%2Fkeys/d"}, true},
			{"completion of a prompt", "completion/complete", completion(object{"type": "ref/prompt", "name": "review"}), false},
			{"completion of a denied prompt", "completion/complete", completion(object{"type": "ref/prompt", "name": "debug"}), true},
			{"completion of a template", "completion/complete", completion(object{"type": "ref/resource", "uri": "file:///srv/secret/{name}"}), false},
			{"completion of a denied template", "completion/complete", completion(object{"type": "ref/resource", "uri": "file:///srv/keys/{name}"}), true},
		}
		if poor.version < modernVersion {
			for _, method := range []string{"resources/subscribe", "resources/unsubscribe"} {
				requests = append(requests,
					ruledRequest{method, method, object{"uri": "file:///srv/secret/b"}, false},
					ruledRequest{method + ", denied", method, object{"uri": "file:///srv/keys/d"}, true})
			}
		} else {
			requests = append(requests, ruledRequest{"listen", "subscriptions/listen", object{"notifications": object{"resourceSubscriptions": []string{"file:///srv/public/a", "file:///srv/keys/d"}}}, true})
		}
		for _, r := range requests {
			a := poor.post(poor.message("x", r.method, r.params))
			want := `scope="tools:use tools:more"`
			if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusForbidden || strings.Contains(challenge, want) == r.denied {
				t.Errorf("%s without the scope: %d %q %s", r.name, a.status, challenge, a.body)
			}
			a = rich.post(rich.message("x", r.method, r.params))
			if (a.status == http.StatusForbidden) != r.denied {
				t.Errorf("%s with the scope: %d %s", r.name, a.status, a.body)
			}
		}
	})
}

// A listen for several resources is challenged once, for what all of them need.
func TestAListenForSeveralResourcesIsChallengedOnce(t *testing.T) {
	t.Parallel()
	s := ruled("	resource file:///srv/plans/* plans:read")
	g := start(t, s)
	p := g.modern(t, g.token(t, "alice", "tools:use"))
	listen := p.message(1, "subscriptions/listen", object{"notifications": object{"resourceSubscriptions": []string{
		"file:///srv/public/a", "file:///srv/plans/b", "file:///srv/secret/c", "file:///srv/plans/../secret/d",
	}}})
	a := p.post(listen)
	if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusForbidden || !strings.Contains(challenge, `scope="tools:use plans:read tools:more"`) {
		t.Errorf("%d %q", a.status, challenge)
	}
	events := p.as(g.token(t, "alice", "tools:use", "plans:read", "tools:more")).listen(http.MethodPost, listen)
	if first := events.take(); !strings.Contains(first.data, "acknowledged") {
		t.Errorf("the first event is %s", first.data)
	}
}

// The headers by which a modern client repeats arguments are known of all tools, those too
// that the client was not shown: another of the user's clients may have more scopes.
func TestSchemasAreLearnedFromTheWholeList(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			s := ruled()
			s.command = append(s.command, "-era", era)
			g := start(t, s)
			poor := g.modern(t, g.token(t, "alice", "tools:use"))
			if a := poor.post(poor.message(1, "tools/list", object{})); strings.Contains(a.body, "x-mcp-header") {
				t.Fatalf("the tool is listed: %s", a.body)
			}
			rich := poor.as(g.token(t, "alice", "tools:use", "tools:more"))
			call := rich.toolCall(1, "echo", object{"text": "x"})
			if a := rich.post(call); a.status != http.StatusBadRequest || a.code() != -32020 {
				t.Errorf("without the header: %d %s", a.status, a.body)
			}
			if a := rich.post(call, set("Mcp-Param-Text", "x")); a.status != http.StatusOK {
				t.Errorf("with the header: %d %s", a.status, a.body)
			}
		})
	}
}

func TestFilteringCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	g := start(t, ruled("	filter off"))
	for _, p := range []*peer{g.legacy(t, g.token(t, "alice", "tools:use")), g.modern(t, g.token(t, "alice", "tools:use"))} {
		for method, hidden := range map[string]string{"tools/list": `"name":"die"`, "prompts/list": `"name":"debug"`, "resources/list": "secret/b", "resources/templates/list": "secret/{name}"} {
			if a := p.post(p.message(1, method, object{})); !strings.Contains(a.body, hidden) {
				t.Errorf("%s: %d %s", method, a.status, a.body)
			}
		}
		if a := p.post(p.toolCall(1, "die", nil)); a.status != http.StatusForbidden {
			t.Errorf("the call: %d %s", a.status, a.body)
		}
	}
}
