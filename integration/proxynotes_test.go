package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/identity/mcpidentity"
)

// notesServer is a server of go-sdk over HTTP as docs/server-authors.md shows one: it keeps
// notes by user, and learns from mcpidentity who calls.
type notesServer struct {
	host string

	mu      sync.Mutex
	of      map[string][]string
	believe []string // what of the headers it was sent a server might believe
}

func newNotesServer(t *testing.T, options *mcp.StreamableHTTPOptions) *notesServer {
	t.Helper()
	n := &notesServer{of: make(map[string][]string)}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "add_note"}, n.add)
	mcp.AddTool(server, &mcp.Tool{Name: "list_notes"}, n.list)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, whoami)
	server.AddReceivingMiddleware(mcpidentity.New(mcpidentity.Options{
		Scopes: map[string][]string{"add_note": {"notes:write"}},
	}))
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, options)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.note(r.Header)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	n.host = listener.Listener.Addr().String()
	return n
}

func (n *notesServer) note(header http.Header) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, values := range header {
		folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if folded == "authorization" || folded == "dpop" || strings.HasPrefix(folded, "x-snapgate-") || strings.Contains(strings.Join(values, ","), forged) {
			n.believe = append(n.believe, fmt.Sprint(name, values))
		}
	}
}

func (n *notesServer) add(ctx context.Context, _ *mcp.CallToolRequest, in struct {
	Text string `json:"text"`
}) (*mcp.CallToolResult, any, error) {
	id, ok := identity.FromContext(ctx)
	if !ok {
		return nil, nil, identity.ErrMissing
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[id.User] = append(n.of[id.User], in.Text)
	return says("kept"), nil, nil
}

func (n *notesServer) list(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	id, ok := identity.FromContext(ctx)
	if !ok {
		return nil, nil, identity.ErrMissing
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return says(strings.Join(n.of[id.User], " ")), nil, nil
}

func whoami(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	id, ok := identity.FromContext(ctx)
	if !ok {
		return nil, nil, identity.ErrMissing
	}
	text, err := json.Marshal(id)
	return says(string(text)), nil, err
}

func says(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// notesKinds are the ways in which go-sdk serves HTTP.
var notesKinds = map[string]*mcp.StreamableHTTPOptions{
	"events": {}, "JSON": {JSONResponse: true}, "stateless": {Stateless: true},
}

// TestAnHTTPServerIsToldWhoCallsOnEachRequest has two users, one of them with two tokens, call
// by turns, and all at once.
func TestAnHTTPServerIsToldWhoCallsOnEachRequest(t *testing.T) {
	t.Parallel()
	for kind, options := range notesKinds {
		for era, version := range eras {
			t.Run(kind+", "+era, func(t *testing.T) {
				t.Parallel()
				n := newNotesServer(t, options)
				g := start(t, site{proxy: n.host})
				writer, other := g.dial(t, g.token(t, "alice", "notes:write"), version, nil), g.dial(t, g.token(t, "bob", "notes:write"), version, nil)
				reader := g.dial(t, g.token(t, "alice", "notes:read"), version, nil)
				const rounds = 10
				var group sync.WaitGroup
				for subject, session := range map[string]*mcp.ClientSession{"alice": writer, "bob": other} {
					group.Go(func() {
						for i := range rounds {
							if _, err := tryUse(session, "add_note", object{"text": fmt.Sprint(subject, i)}); err != nil {
								t.Errorf("%s: %v", subject, err)
							}
						}
					})
				}
				group.Wait()
				for _, s := range []struct {
					subject string
					session *mcp.ClientSession
					scopes  []string
				}{{"alice", writer, []string{"notes:write"}}, {"bob", other, []string{"notes:write"}}, {"alice", reader, []string{"notes:read"}}, {"alice", writer, []string{"notes:write"}}} {
					var want []string
					for i := range rounds {
						want = append(want, fmt.Sprint(s.subject, i))
					}
					if got := use(t, s.session, "list_notes", object{}); got != strings.Join(want, " ") {
						t.Errorf("%s has %s", s.subject, got)
					}
					id, err := identity.Parse([]byte(use(t, s.session, "whoami", object{})))
					if err != nil {
						t.Fatal(err)
					}
					if id.Subject != s.subject || id.Issuer != issuer.Issuer() || !slices.Equal(id.Scopes, s.scopes) {
						t.Errorf("%s is told to be %+v", s.subject, id)
					}
				}
				if _, err := tryUse(reader, "add_note", object{"text": "x"}); err == nil || !strings.Contains(err.Error(), "notes:write") {
					t.Errorf("without its scope: %v", err)
				}
			})
		}
	}
}

// TestAForgedIdentityIsWorthNothingToAnHTTPServer sends what a server might believe in every
// place. Of 2026-07-28 go-sdk serves what needs no session.
func TestAForgedIdentityIsWorthNothingToAnHTTPServer(t *testing.T) {
	t.Parallel()
	for era, options := range map[string]*mcp.StreamableHTTPOptions{"legacy": {JSONResponse: true}, "modern": {JSONResponse: true, Stateless: true}} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			n := newNotesServer(t, options)
			g := start(t, site{proxy: n.host})
			p := g.modern(t, g.token(t, "alice", "notes:read"))
			if era == "legacy" {
				p = g.legacy(t, p.token)
			}
			n.forge(t, p)
		})
	}
}

// forge has a reader of notes say that they are somebody else, who may write.
func (n *notesServer) forge(t *testing.T, p *peer) {
	t.Helper()
	const as = "https://as"
	key := identity.UserKey(as, forged)
	stamp := `{"issuer":"` + as + `","subject":"` + forged + `","user":"` + key + `","client_id":"c","scopes":["notes:write"],"expires":0,"claims":{}}`
	headers := []func(*http.Request){
		set("X-Snapgate-User", key), set("X-Snapgate-Subject", forged), set("X-Snapgate-Issuer", as), set("x_snapgate_subject", forged), set("DPoP", forged),
	}
	for name, member := range forgeries {
		meta := member + stamp
		if required[p.version] != "" {
			meta += "," + required[p.version]
		}
		for _, params := range []string{`"name":"whoami","arguments":{},"_meta":{` + meta + `}`, `"_meta":{` + meta + `},"name":"whoami","arguments":{}`} {
			text, err := resultText(p.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{`+params+`}}`, headers...))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if id, err := identity.Parse([]byte(text)); err != nil || id.Subject != "alice" || !slices.Equal(id.Scopes, []string{"notes:read"}) {
				t.Errorf("%s: the server is told %s, %v", name, text, err)
			}
		}
	}
	if a := p.post(p.toolCall(2, "add_note", object{"text": "x"}), headers...); !strings.Contains(a.body, "insufficient_scope") {
		t.Errorf("without the scope: %d %s", a.status, a.body)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.believe) > 0 || len(n.of) > 0 {
		t.Errorf("the server behind was sent the headers %v, and keeps %v", n.believe, n.of)
	}
}

// TestAnHTTPServerRefusesWhatComesPastTheGateway is why nobody but Caddy may reach its port: it
// refuses who says nothing, and believes who says anything.
func TestAnHTTPServerRefusesWhatComesPastTheGateway(t *testing.T) {
	t.Parallel()
	n := newNotesServer(t, &mcp.StreamableHTTPOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "past", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: "http://" + n.host}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := tryUse(session, "whoami", object{}); err == nil || !strings.Contains(err.Error(), "no verified identity") {
		t.Errorf("without an identity: %v", err)
	}
	invalid := mcp.Meta{identity.MetaKey: map[string]any{"issuer": "https://as", "subject": "alice", "user": identity.UserKey("https://as", "bob")}}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami", Meta: invalid}); err == nil || !strings.Contains(err.Error(), "invalid identity") {
		t.Errorf("with one that is none: %v", err)
	}
}
