package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func subscribing(id, method, uri string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"resources/%s","params":{"uri":%q}}`, id, method, uri)
}

func updated(uri, user string) string {
	meta := ""
	if user != "" {
		meta = `,"_meta":{"io.github.snapgate/user":"` + user + `"}`
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q%s}}`, uri, meta)
}

// Row: subscriptions are refcounted, none leaked and none lost when one leaves.
func TestSubscriptionsOfSharingSessionsAreOne(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.session("alice"), g.session("alice")
	for _, header := range [][]string{one, other} {
		g.post(subscribing(`1`, "subscribe", "a://b"), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
	if line := g.log.read(t, "resources/subscribe"); !strings.Contains(line, `"subject":"alice"`) {
		t.Errorf("the server was not told who subscribes: %s", line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := g.get(ctx, one...), g.get(ctx, other...)
	caller := g.session("alice")
	say := func(uri string) {
		g.post(tool(`1`, "own", saying(updated(uri, ""), answered)), caller...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	}
	say("a://b/part")
	a.says(updated("a://b/part", ""))
	b.says(updated("a://b/part", ""))
	g.do(t.Context(), http.MethodDelete, "", one...).body()
	say("a://bc") // of another resource
	say("a://b")
	b.says(updated("a://b", ""))
	g.until("the server was asked once", func() bool { return g.log.count("resources/subscribe") == 1 })
	if n := g.log.count("resources/unsubscribe"); n != 0 {
		t.Error("the subscription ended with the first of two sessions")
	}
	g.post(subscribing(`2`, "unsubscribe", "a://b"), other...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{}}`)
	g.log.read(t, "resources/unsubscribe")
}

const stamping = `{"tools":{},"resources":{"subscribe":true},"experimental":{"io.github.snapgate/user":{}}}`

// Row: under per shared an update reaches only the user it is stamped for.
func TestAnUpdateOfASharedServerReachesItsUserOnly(t *testing.T) {
	g := sharing(t, PerShared, nil, capabilitiesVar+"="+stamping)
	alice, bob := g.session("alice"), g.session("bob")
	for _, header := range [][]string{alice, bob} {
		g.post(subscribing(`1`, "subscribe", "a://b"), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
	g.until("the server was asked once for each of two users", func() bool { return g.log.count("resources/subscribe") == 2 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := g.get(ctx, alice...), g.get(ctx, bob...)
	all := []string{updated("a://b", ""), updated("a://b", "someone else"), updated("a://b", aliceKey), updated("a://b/2", userKey("bob")), answered}
	g.post(tool(`1`, "own", saying(all...)), g.session("carol")...).body()
	a.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://b","_meta":{}}}`)
	b.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://b/2","_meta":{}}}`)
}

// Row: without stamps subscribe is not offered.
func TestAServerThatDoesNotStampHasNoSubscriptions(t *testing.T) {
	g := sharing(t, PerShared, nil)
	g.post(initializeRequest).holds(http.StatusOK, `"resources":{"listChanged":true}`)
	g.post(subscribing(`1`, "subscribe", "a://b"), g.session("alice")...).holds(http.StatusOK, `-32601`)
	if n := g.log.count("resources/subscribe"); n != 0 {
		t.Error("the server was asked")
	}
}

// Nor does a modern one, whichever client asks what there is, or listens all the same.
func TestAModernServerThatDoesNotStampHasNoSubscriptions(t *testing.T) {
	for declared, offered := range map[string]string{
		capabilities: `"resources":{"listChanged":true}`,
		stamping:     `"resources":{"subscribe":true}`,
	} {
		for per, want := range map[Per]string{PerShared: offered, PerUser: `"resources":{"subscribe":true`} {
			g := sharing(t, per, nil, capabilitiesVar+"="+declared)
			body, header := modern(`"d"`, "server/discover", ``)
			g.post(body, header...).holds(http.StatusOK, want)
		}
	}
	g := sharing(t, PerShared, nil, capabilitiesVar+"="+capabilities)
	body, header := modern(`"l"`, "subscriptions/listen", `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a://b"]}`)
	g.post(body, header...).says(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"},"notifications":{"toolsListChanged":true}}}`)
	if line := g.log.read(t, "subscriptions/listen"); strings.Contains(line, "a://b") {
		t.Errorf("the server was asked %s", line)
	}
}

// A modern client of a legacy server that all share is told of its own updates only.
func TestAModernListenAtASharedServerHearsItsUserOnly(t *testing.T) {
	g := sharing(t, PerShared, nil, legacyChild, capabilitiesVar+"="+stamping)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body, header := modern(`"l"`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["a://b"]}`)
	listen := g.do(ctx, http.MethodPost, body, header...)
	listen.says(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"},"notifications":{"resourceSubscriptions":["a://b"]}}}`)
	body, header = modernTool(`1`, "own", saying(updated("a://b", ""), updated("a://b", userKey("bob")), updated("a://b/x", aliceKey), answered), "X-User", "bob")
	g.post(body, header...).body()
	listen.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://b/x","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}`)
}

func TestASessionSubscribesToSoManyResourcesOnly(t *testing.T) {
	g := sharing(t, PerUser, nil, "TEST_TRACE=")
	header := g.session("alice")
	for n := range maxSubscribed {
		g.post(subscribing(`1`, "subscribe", fmt.Sprint("a://", n)), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
	g.post(subscribing(`1`, "subscribe", "a://more"), header...).holds(http.StatusOK, "At most 1024 resources")
	g.post(subscribing(`1`, "subscribe", "a://1"), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// What a server of both eras says on a listen is filtered by user for modern clients only.
func TestASharingSessionCannotListenAsModernClientsDo(t *testing.T) {
	for _, per := range []Per{PerUser, PerShared} {
		g := sharing(t, per, nil)
		header := g.session("alice")
		g.post(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["a://b"]}}}`, header...).holds(http.StatusOK, `"code":-32601`)
		g.post(tool(`2`, "echo", ``), header...).body()
		if n := g.log.count("subscriptions/listen"); n != 0 {
			t.Errorf("per %d: the server was asked", per)
		}
	}
}
