package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// wire speaks to a server without a client, as the gateway does for many users at once.
type wire struct {
	t        testing.TB
	modern   bool
	conn     mcp.Connection
	messages chan jsonrpc.Message
	last     int64
}

func newWire(t testing.TB, modern bool, options Options) *wire {
	t.Helper()
	ctx := context.Background()
	near, far := mcp.NewInMemoryTransports()
	serving, err := NewServer(options).Connect(ctx, far, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := near.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, modern: modern, conn: conn, messages: make(chan jsonrpc.Message, 1000)}
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		for {
			m, err := conn.Read(ctx)
			if err != nil {
				return
			}
			w.messages <- m
		}
	}()
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), serving.Close()); err != nil {
			t.Error(err)
		}
		<-done
		options.Subscriptions.Close()
		if err := options.Stores.Close(); err != nil {
			t.Error(err)
		}
	})
	if !modern {
		w.ask("initialize", nil, map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "t", "version": "1"}})
		w.say("notifications/initialized", nil, nil)
	}
	return w
}

func (w *wire) write(request *jsonrpc.Request, meta mcp.Meta, params map[string]any) {
	w.t.Helper()
	all := map[string]any{}
	for name, value := range params {
		all[name] = value
	}
	its := mcp.Meta{}
	for name, value := range meta {
		its[name] = value
	}
	if w.modern {
		its["io.modelcontextprotocol/protocolVersion"] = "2026-07-28"
		its["io.modelcontextprotocol/clientCapabilities"] = map[string]any{}
		its["io.modelcontextprotocol/clientInfo"] = map[string]any{"name": "t", "version": "1"}
	}
	all["_meta"] = its
	var err error
	if request.Params, err = json.Marshal(all); err != nil {
		w.t.Fatal(err)
	}
	if err := w.conn.Write(context.Background(), request); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) say(method string, meta mcp.Meta, params map[string]any) {
	w.t.Helper()
	w.write(&jsonrpc.Request{Method: method}, meta, params)
}

// send sends a request and returns its id.
func (w *wire) send(method string, meta mcp.Meta, params map[string]any) int64 {
	w.t.Helper()
	w.last++
	id, err := jsonrpc.MakeID(float64(w.last))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(&jsonrpc.Request{ID: id, Method: method}, meta, params)
	return w.last
}

func (w *wire) next() jsonrpc.Message {
	w.t.Helper()
	select {
	case m := <-w.messages:
		return m
	case <-time.After(patience):
		w.t.Fatal("nothing came")
		return nil
	}
}

// ask sends a request and returns its answer, and what else came until then.
func (w *wire) ask(method string, meta mcp.Meta, params map[string]any) (answer *jsonrpc.Response, others []string) {
	w.t.Helper()
	id := w.send(method, meta, params)
	for {
		switch m := w.next().(type) {
		case *jsonrpc.Response:
			if m.ID.Raw() == id {
				return m, others
			}
			w.t.Fatalf("an answer to %v", m.ID.Raw())
		case *jsonrpc.Request:
			others = append(others, notice(w.t, m))
		}
	}
}

// notice is a notification as "<listen or user> <what>".
func notice(t testing.TB, m *jsonrpc.Request) string {
	t.Helper()
	var params struct {
		Meta map[string]any `json:"_meta"`
		URI  string
	}
	if err := json.Unmarshal(m.Params, &params); err != nil {
		t.Fatal(err)
	}
	what := strings.TrimPrefix(m.Method, "notifications/")
	if params.URI != "" {
		what = params.URI
	}
	return fmt.Sprint(params.Meta[mcp.MetaKeySubscriptionID], " ", params.Meta[identity.UpdateKey], " ", what)
}

// expect takes as many notifications as are wanted, in any order.
func (w *wire) expect(had []string, want ...string) {
	w.t.Helper()
	got := slices.Clone(had)
	for len(got) < len(want) {
		m, ok := w.next().(*jsonrpc.Request)
		if !ok {
			w.t.Fatalf("an answer came after %q", got)
		}
		got = append(got, notice(w.t, m))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("told\n%q\nwant\n%q", got, want)
	}
}

// save saves a snapshot and returns what else came until its answer. What is told of a
// change comes before what is told of a later one, so what comes next belongs to this.
func (w *wire) save(meta mcp.Meta, name string) (others []string) {
	w.t.Helper()
	answer, others := w.ask("tools/call", meta, map[string]any{"name": saveTool, "arguments": map[string]any{"summary": name, "context": "c"}})
	if answer.Error != nil || !strings.Contains(string(answer.Result), "Saved snapshot") {
		w.t.Fatalf("save: %s %v", answer.Result, answer.Error)
	}
	return others
}

func (w *wire) listen(meta mcp.Meta, lists bool, uris ...string) int64 {
	w.t.Helper()
	id := w.send("subscriptions/listen", meta, map[string]any{"notifications": map[string]any{
		"resourcesListChanged": lists, "resourceSubscriptions": uris}})
	m, ok := w.next().(*jsonrpc.Request)
	if !ok || m.Method != "notifications/subscriptions/acknowledged" || !strings.HasPrefix(notice(w.t, m), fmt.Sprint(id, " ")) {
		w.t.Fatalf("the first that a listen is told: %+v", m)
	}
	return id
}

func TestListensOfManyUsersInOneSession(t *testing.T) {
	w := newWire(t, true, manyUsers(t, new(Subscriptions)))
	alice, bob := stamp("alice", allScopes...), stamp("bob", allScopes...)
	a, b := userOf("alice"), userOf("bob")
	first := w.listen(alice, false, latestURI)
	second := w.listen(alice, true, "snapshot://1", "snapshot://2")
	third := w.listen(bob, true, latestURI, "snapshot://1")
	is := func(id int64, user, what string) string { return fmt.Sprintf("%d %s %s", id, user, what) }

	had := w.save(alice, "one")
	w.expect(had, is(first, a, latestURI), is(second, a, "snapshot://1"), is(second, a, "resources/list_changed"))
	had = w.save(bob, "one")
	w.expect(had, is(third, b, latestURI), is(third, b, "snapshot://1"), is(third, b, "resources/list_changed"))

	// The end of one listen is not that of another, even to the same resource.
	w.say("notifications/cancelled", nil, map[string]any{"requestId": first})
	if m, ok := w.next().(*jsonrpc.Response); !ok || m.ID.Raw() != first {
		t.Errorf("after a cancellation: %+v", m)
	}
	answer, had := w.ask("tools/call", alice, map[string]any{"name": deleteTool, "arguments": map[string]any{"id": 1}})
	if answer.Error != nil {
		t.Error(answer.Error)
	}
	w.expect(had, is(second, a, "snapshot://1"), is(second, a, "resources/list_changed"))
	had = w.save(bob, "two")
	w.expect(had, is(third, b, latestURI), is(third, b, "resources/list_changed"))
}

func TestAListenGrantsWhatMayBeReadAndChanges(t *testing.T) {
	w := newWire(t, true, manyUsers(t, new(Subscriptions)))
	for _, test := range []struct {
		meta mcp.Meta
		want string
	}{
		{stamp("alice", policy.ScopeRead), `{"resourcesListChanged":true,"resourceSubscriptions":["snapshot://latest","snapshot://5"]}`},
		{stamp("alice", policy.ScopeWrite), `{}`},
		{nil, `{}`},
	} {
		id := w.send("subscriptions/listen", test.meta, map[string]any{"notifications": map[string]any{
			"toolsListChanged": true, "resourcesListChanged": true,
			"resourceSubscriptions": []string{latestURI, "snapshot://5", "snapshot://05", "snapshot://export/jsonl", "file:///etc"}}})
		var params struct{ Notifications json.RawMessage }
		if m, ok := w.next().(*jsonrpc.Request); !ok || json.Unmarshal(m.Params, &params) != nil || string(params.Notifications) != test.want {
			t.Errorf("%v is granted %s, want %s", test.meta, params.Notifications, test.want)
		}
		if test.want == `{}` {
			if m, ok := w.next().(*jsonrpc.Response); !ok || m.ID.Raw() != id || m.Error != nil {
				t.Errorf("a listen to nothing does not end: %+v", m)
			}
		}
	}
}

func TestLegacyUpdatesAreStampedForTheirUser(t *testing.T) {
	w := newWire(t, false, manyUsers(t, new(Subscriptions)))
	alice, bob := stamp("alice", allScopes...), stamp("bob", allScopes...)
	a, b := userOf("alice"), userOf("bob")
	subscribe := func(method string, meta mcp.Meta, uri string) *jsonrpc.Response {
		answer, _ := w.ask(method, meta, map[string]any{"uri": uri})
		return answer
	}
	for _, one := range []struct {
		meta mcp.Meta
		uri  string
	}{{alice, latestURI}, {alice, "snapshot://1"}, {bob, latestURI}} {
		if answer := subscribe("resources/subscribe", one.meta, one.uri); answer.Error != nil {
			t.Fatal(answer.Error)
		}
	}
	w.expect(w.save(alice, "one"), "<nil> "+a+" snapshot://latest", "<nil> "+a+" snapshot://1", "<nil> "+a+" resources/list_changed")
	w.expect(w.save(bob, "one"), "<nil> "+b+" snapshot://latest", "<nil> "+b+" resources/list_changed")
	// One who unsubscribes takes nothing from the other.
	if answer := subscribe("resources/unsubscribe", bob, latestURI); answer.Error != nil {
		t.Fatal(answer.Error)
	}
	w.expect(w.save(bob, "two"), "<nil> "+b+" resources/list_changed")
	w.expect(w.save(alice, "two"), "<nil> "+a+" snapshot://latest", "<nil> "+a+" resources/list_changed")

	for _, refused := range []struct {
		meta mcp.Meta
		uri  string
		code int64
	}{
		{nil, latestURI, codeRefused}, {stamp("alice", policy.ScopeWrite), latestURI, codeRefused},
		{alice, "snapshot://export/jsonl", jsonrpc.CodeInvalidParams}, {alice, "snapshot://01", jsonrpc.CodeInvalidParams},
	} {
		var err *jsonrpc.Error
		if answer := subscribe("resources/subscribe", refused.meta, refused.uri); !errors.As(answer.Error, &err) || err.Code != refused.code {
			t.Errorf("%v %s: %v", refused.meta, refused.uri, answer.Error)
		}
	}
}

func TestWhatRetentionDeletesIsTold(t *testing.T) {
	subscriptions := new(Subscriptions)
	stores := newStoreWith(t, store.Settings{Retention: store.Retention{MaxCount: 1}, Changed: subscriptions.Changed})
	w := newWire(t, true, Options{Stores: stores, Policy: policy.NoAuth{}, Subscriptions: subscriptions})
	id := w.listen(nil, false, "snapshot://1")
	is := fmt.Sprintf("%d <nil> snapshot://1", id)
	w.expect(w.save(nil, "one"), is)
	w.expect(w.save(nil, "two"), is) // which takes the place of the first
	answer, _ := w.ask("resources/read", nil, map[string]any{"uri": "snapshot://1"})
	var err *jsonrpc.Error
	if !errors.As(answer.Error, &err) || err.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("the first is still there: %s", answer.Result)
	}
}

// go-sdk's own client, in both eras.
func TestClientsAreToldOfChanges(t *testing.T) {
	for _, version := range versions {
		subscriptions := new(Subscriptions)
		stores := newStoreWith(t, store.Settings{Changed: subscriptions.Changed})
		updates, lists := make(chan string, 10), make(chan struct{}, 10)
		c := connectTo(t, Options{Stores: stores, Policy: policy.NoAuth{}, Subscriptions: subscriptions}, version, &mcp.ClientOptions{
			ResourceUpdatedHandler:     func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { updates <- r.Params.URI },
			ResourceListChangedHandler: func(context.Context, *mcp.ResourceListChangedRequest) { lists <- struct{}{} },
		})
		if err := c.Subscribe(context.Background(), &mcp.SubscribeParams{URI: latestURI}); err != nil {
			t.Fatal(err)
		}
		// The client does not say when its listen is acknowledged, so it saves until it is.
		deadline := time.After(patience)
		for told := false; !told; {
			c.text(t, saveTool, `{"summary":"s","context":"c"}`)
			select {
			case uri := <-updates:
				if told = true; uri != latestURI {
					t.Errorf("told of %s", uri)
				}
			case <-time.After(10 * time.Millisecond):
			case <-deadline:
				t.Fatalf("version %q: nothing came", version)
			}
		}
		select {
		case <-lists:
		case <-time.After(patience):
			t.Fatalf("version %q: no change of the list came", version)
		}
	}
}
