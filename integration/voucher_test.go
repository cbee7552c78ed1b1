package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// startIssuer starts an authorization server beside the one of all tests.
func startIssuer(t testing.TB, config devauth.Config) *devauth.Server {
	t.Helper()
	server, err := devauth.New(config)
	if err == nil {
		err = server.Start("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// twoIssuers is the stand-in for the users of the tests' issuer and of another.
func twoIssuers(t *testing.T) (site, *devauth.Server) {
	t.Helper()
	other := startIssuer(t, devauth.Config{Algorithm: "ES256"})
	s := reloadable()
	s.issuer = issuer.Issuer() + " " + other.Issuer()
	return s, other
}

// running says whether one of the gateway's processes has this id.
func (g *gateway) running(t *testing.T, pid string) bool {
	t.Helper()
	id, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatalf("process %q", pid)
	}
	return slices.Contains(g.processes(t), id)
}

// insist posts until the configuration in force answers: a connection of the one before
// is served by that until it is closed, which for whom it should let in no more says so.
func (p *peer) insist(body string) (a answer) {
	p.t.Helper()
	await(p.t, "an answer by the new configuration", func() bool {
		p.gateway.client.CloseIdleConnections()
		a = p.post(body)
		return a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "has just changed")
	})
	return a
}

// Nobody has to send anything for it: the streams of the removed issuer's users end, and
// so do their processes.
func TestReloadThatRemovesAnIssuerEndsItsSessions(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s, other := twoIssuers(t)
	g := start(t, s)
	theirs := mintOf(t, other, devauth.MintOptions{Subject: "alice", Audience: []string{g.url}})
	stays, goes, modern := g.legacy(t, g.token(t, "alice")), g.legacy(t, theirs), g.modern(t, theirs)
	kept, stream := stays.listen(http.MethodGet, ""), goes.listen(http.MethodGet, "")
	pid, gone := stays.call(1, "pid", nil), []string{goes.call(1, "pid", nil), modern.call(1, "pid", nil)}
	call := hold(t)
	inFlight := goes.begin(goes.toolCall(2, "hold", call.arguments()))
	call.reached()

	s.issuer = issuer.Issuer()
	g.reload(t, s) // and not renew: the old connections stay
	stream.ended()
	if a := inFlight.wait(t); !strings.Contains(a.body, "-32603") {
		t.Errorf("the call in flight: %d %s", a.status, a.body)
	}
	await(t, "the end of their processes", func() bool { return !g.running(t, gone[0]) && !g.running(t, gone[1]) })

	for _, p := range []*peer{goes, modern} {
		if a := p.insist(p.toolCall(3, "echo", nil)); a.status != http.StatusUnauthorized {
			t.Errorf("with a token of the issuer: %d %s", a.status, a.body)
		}
	}
	if got := stays.call(4, "pid", nil); got != pid {
		t.Errorf("the other issuer's user: process %s, was %s", got, pid)
	}
	stays.call(5, "tell", object{"method": "notifications/tools/list_changed"})
	if e := kept.take(); !strings.Contains(e.data, "list_changed") {
		t.Errorf("on the stream that goes on: %+v", e)
	}

	s.issuer += " " + other.Issuer()
	g.renew(t, s)
	if a := goes.post(goes.toolCall(6, "echo", nil)); a.status != http.StatusNotFound || a.code() != -32001 {
		t.Errorf("the old session, once its issuer is back: %d %s", a.status, a.body)
	}
	if got := g.legacy(t, theirs).call(7, "echo", object{"text": "back"}); got != "back" {
		t.Errorf("a new one: %q", got)
	}
}

// The words that name one user in one claim may name another in another.
func TestReloadThatChangesTheSubjectEndsSessions(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := reloadable()
	g := start(t, s)
	bySub := g.mint(t, devauth.MintOptions{Subject: "carol", Claims: object{"nickname": "dave"}})
	legacy, modern := g.legacy(t, bySub), g.modern(t, bySub)
	pids := []string{legacy.call(1, "pid", nil), modern.call(1, "pid", nil)}
	stream := legacy.listen(http.MethodGet, "")

	s.oauth = []string{"subject nickname"}
	g.reload(t, s)
	stream.ended()
	await(t, "the end of their processes", func() bool { return !g.running(t, pids[0]) && !g.running(t, pids[1]) })
	// Somebody else, whom the other claim calls carol.
	namesake := g.mint(t, devauth.MintOptions{Subject: "eve", Claims: object{"nickname": "carol"}})
	if a := legacy.as(namesake).insist(legacy.toolCall(2, "echo", nil)); a.status != http.StatusNotFound || a.code() != -32001 {
		t.Errorf("another user of that name: %d %s", a.status, a.body)
	}
	if got := g.modern(t, namesake).call(3, "pid", nil); slices.Contains(pids, got) {
		t.Errorf("another user of that name is served by process %s", got)
	}
}

// A configuration that does not start ends nothing, whatever it says.
func TestReloadThatFailsKeepsTheSessionsOfTheIssuerItRemoves(t *testing.T) {
	t.Parallel()
	s, other := twoIssuers(t)
	g := start(t, s)
	p := g.legacy(t, mintOf(t, other, devauth.MintOptions{Subject: "alice", Audience: []string{g.url}}))
	stream := p.listen(http.MethodGet, "")
	pid := p.call(1, "pid", nil)

	without := s
	without.issuer = issuer.Issuer()
	taken := fmt.Sprintf("http://localhost:%s {\n\tbind 127.0.0.1\n\trespond x\n}\n", portOf(t, other.Issuer()))
	for range 5 { // apps are started in any order
		if status, text := g.load(t, without.caddyfile(g)+taken); status == http.StatusOK {
			t.Fatalf("a site on a port that is taken was loaded: %s", text)
		}
		if got := p.call(2, "pid", nil); got != pid {
			t.Errorf("process %s, was %s", got, pid)
		}
	}
	p.call(3, "tell", object{"method": "notifications/tools/list_changed"})
	if e := stream.take(); !strings.Contains(e.data, "list_changed") {
		t.Errorf("on the stream: %+v", e)
	}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		t.Fatalf("no port in %s", address)
	}
	return address[i+1:]
}
