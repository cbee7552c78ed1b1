package bridge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The next process may refuse some of what a session is subscribed to. It is told of the rest.
func TestAResourceThatTheNextProcessRefusesKeepsASessionFromNoOther(t *testing.T) {
	less := filepath.Join(t.TempDir(), "less")
	g := open(t, nil, append(modernOnly, "TEST_LESS_IF="+less)...)
	header := g.session("alice")
	for n, uri := range []string{"a://b", "picky://", "c://d"} {
		g.post(subscribing(fmt.Sprint(n), "subscribe", uri), header...).holds(http.StatusOK, `"result":{}`)
	}
	if err := os.WriteFile(less, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.process().end("the test")
	g.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, header...).body()
	s, p := g.find(header), g.process()
	g.until("it listens to the rest", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for l := range p.listeners {
			return len(l.wants.URIs) == 2 && l.wants.Tools && slices.Contains(l.wants.URIs, "a://b") && slices.Contains(l.wants.URIs, "c://d")
		}
		return false
	})
	g.until("it asks for no more", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.share.uris) == 2 && !s.share.uris["picky://"]
	})
	stream := g.get(t.Context(), header...)
	g.tells("alice", updatedFor("c://d/e", "$listen"))
	for data := " "; data != ""; {
		if _, data = stream.next(); data == `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{},"uri":"c://d/e"}}` {
			return
		}
	}
	t.Error("it is not told")
}

// A session begins to listen when it is there already, and a server may take its time. What its
// client was told meanwhile may have changed before anyone listened.
func TestAClientThatListsBeforeItsSessionListensIsToldToLookAgain(t *testing.T) {
	late := filepath.Join(t.TempDir(), "late")
	g := open(t, nil, append(modernOnly, "TEST_LATE_IF="+late)...)
	listens := func(header []string) func() bool {
		return func() bool { return g.listener(header).granted().Tools }
	}
	header := g.session("alice")
	stream := g.get(t.Context(), header...)
	g.until("it listens", listens(header))
	g.tells("alice", `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":1,"_meta":{"io.modelcontextprotocol/subscriptionId":$listen}}}`)
	stream.says(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":1,"_meta":{}}}`) // and not that something may have

	g.process().end("the test")
	if err := os.WriteFile(late, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	header = g.session("alice")
	stream = g.get(t.Context(), header...)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	g.later(ctx, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, header...)
	s := g.find(header)
	g.until("the call is made", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.calls) == 1
	})
	if err := os.Remove(late); err != nil {
		t.Fatal(err)
	}
	stream.says(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
}

// listener is that of an upgraded session.
func (g *gateway) listener(header []string) *listener {
	s := g.find(header)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share.listener
}

// What could not be listened to for another reason is listened to with the next call.
func TestASubscriptionThatFailedForAMomentIsMadeAgain(t *testing.T) {
	less := filepath.Join(t.TempDir(), "less")
	g := open(t, nil, append(modernOnly, "TEST_LESS_IF="+less)...)
	header := g.session("alice")
	for n, uri := range []string{"a://b", "ended://", "picky://"} {
		g.post(subscribing(fmt.Sprint(n), "subscribe", uri), header...).holds(http.StatusOK, `"result":{}`)
	}
	if err := os.WriteFile(less, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.process().end("the test")
	g.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, header...).body()
	l := g.listener(header)
	g.until("it has failed", func() bool { return l.over.Load() })
	if err := os.Remove(less); err != nil {
		t.Fatal(err)
	}
	g.post(`{"jsonrpc":"2.0","id":2,"method":"ping"}`, header...).body()
	g.until("it listens to the rest", func() bool {
		return slices.Equal(l.granted().URIs, []string{"a://b", "ended://"}) && !l.over.Load()
	})
}

// A session may unsubscribe while it is listening anew.
func TestWhatIsUnsubscribedMeanwhileIsNotListenedTo(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	for n, uri := range []string{"a://b", "c://d"} {
		g.post(subscribing(fmt.Sprint(n), "subscribe", uri), header...).holds(http.StatusOK, `"result":{}`)
	}
	s, p, l, both := g.find(header), g.process(), g.listener(header), []string{"a://b", "c://d"}
	if refused, err := p.join(t.Context(), l, without(both)); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	u := p.union(s.owner)
	u.turn <- struct{}{}
	listening := make(chan error, 1)
	go func() { listening <- l.listenTo(both) }()
	g.until("it waits for its turn", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return u.users == 2
	})
	s.forget("c://d")
	<-u.turn
	p.unionUsed(u)
	if err := receive(t, listening); err != nil {
		t.Fatal(err)
	}
	if got := l.granted().URIs; !slices.Equal(got, both[:1]) {
		t.Errorf("it listens to %q", got)
	}
}

// Others are told once to look again, however often the listen was changed to find out which
// resources the next process refuses.
func TestWhoListensIsToldOnceOfManyChanges(t *testing.T) {
	less := filepath.Join(t.TempDir(), "less")
	g := open(t, nil, append(modernOnly, "TEST_LESS_IF="+less)...)
	one, other := g.session("alice"), g.session("alice")
	const half = 8
	for n := range half {
		for _, uri := range []string{"ok://%d", "picky://%d"} {
			g.post(subscribing(fmt.Sprint(n), "subscribe", fmt.Sprintf(uri, n)), one...).holds(http.StatusOK, `"result":{}`)
		}
	}
	g.post(subscribing(`1`, "subscribe", "other://"), other...).holds(http.StatusOK, `"result":{}`)
	if err := os.WriteFile(less, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	told := func() int64 {
		standalone := g.find(other).standalone
		standalone.mu.Lock()
		defer standalone.mu.Unlock()
		return standalone.next
	}
	const all = 4 // three lists and a resource, at which it is to look again
	g.until("nothing changes any more", g.process().quiet)
	before := told()
	g.process().end("the test")
	g.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, other...).body()
	g.until("the other listens again", func() bool { return told() == before+all })
	g.post(`{"jsonrpc":"2.0","id":2,"method":"ping"}`, one...).body()
	g.until("the one has found out", func() bool { return len(g.find(one).subscriptions()) == half && g.process().quiet() })
	if n := told() - before; n != 2*all {
		t.Errorf("the other is told %d times in all", n)
	}
}
