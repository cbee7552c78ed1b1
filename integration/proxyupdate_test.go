package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func updateOf(uri string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q}}`, uri)
}

// telling is a server whose streams say each thing that they are told to, and a sign of life
// before.
func telling(t *testing.T) (u *upstream, say chan string, left chan struct{}) {
	t.Helper()
	say, left = make(chan string), make(chan struct{}, 64)
	return upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() { left <- struct{}{} }()
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for number := 1; ; number++ {
			select {
			case text := <-say:
				fmt.Fprintf(w, ": alive\n\nid: %d\ndata: %s\n\n", number, text)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}), say, left
}

// Streams of all kinds tell of no resource that their reader may not read, and all else at
// once, whatever else stands between.
func TestProxiedUpdatesAreToldToThoseWhoMayRead(t *testing.T) {
	t.Parallel()
	for name, s := range proxyStreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, say, left := telling(t)
			ruled := ruledProxy(u)
			ruled.proxyWith, ruled.routes, ruled.protocols, ruled.plain = s.proxyWith, s.routes, s.protocols, s.plain
			g := start(t, ruled)
			for _, scopes := range [][]string{{"tools:use"}, {"tools:use", "tools:more"}} {
				token := g.token(t, "alice", scopes...)
				modern, legacy := g.modern(t, token), g.anyone(t, token)
				for what, open := range map[string]func() *events{
					"GET":    func() *events { return legacy.listen(http.MethodGet, "") },
					"listen": func() *events { return modern.listen(http.MethodPost, modern.message(1, "subscriptions/listen", nil)) },
					"call":   func() *events { return modern.listen(http.MethodPost, modern.toolCall(1, "slow", nil)) },
					"list":   func() *events { return modern.listen(http.MethodPost, modern.message(1, "tools/list", nil)) },
				} {
					stream := open()
					for i, uri := range []string{"file:///srv/secret/b", "file:///srv/keys/d", "file:///srv/a"} {
						say <- updateOf(uri)
						if i == 2 || i == 0 && len(scopes) == 2 {
							if e := stream.take(); e.data != updateOf(uri) || e.id != fmt.Sprint(i+1) {
								t.Errorf("%s with %v: after %s comes %+v", what, scopes, uri, e)
							}
						} else if e := stream.take(); e.data != "" || e.id != fmt.Sprint(i+1) {
							t.Errorf("%s with %v: of %s is told %+v", what, scopes, uri, e)
						}
					}
					stream.cancel()
					<-left
				}
			}
		})
	}
}

// A stream that broke off is resumed by a GET, and has the results of all requests in it.
func TestResumedProxiedStreamsAreCut(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for method := range catalog {
			fmt.Fprintf(w, "id: %s\ndata: %s\n\n", method, listOf(method, `"any"`, r.Header.Get("X-Cursor"), 0))
		}
		fmt.Fprint(w, "data: no message\n\n")
		fmt.Fprintf(w, "data: %s", listOf("tools/list", "1", "", 0)) // it ends in the middle of an event
	})
	g := start(t, ruledProxy(u))
	for reader, token := range map[int]string{1: g.token(t, "alice", "tools:use"), 2: g.token(t, "alice", "tools:use", "tools:more")} {
		for _, cursor := range []string{"", "2"} {
			a := g.anyone(t, token).do(http.MethodGet, "", set("Last-Event-ID", "0"), set("X-Cursor", cursor))
			for method := range catalog {
				if want := "id: " + method + "\ndata: " + listOf(method, `"any"`, cursor, reader) + "\n\n"; !strings.Contains(a.body, want) {
					t.Errorf("%s of reader %d: %s\nwant %s", method, reader, a.body, want)
				}
			}
			if rest := "data: " + listOf("tools/list", "1", "", reader); !strings.HasSuffix(a.body, "\n\n"+rest) || strings.Contains(a.body, "no message") {
				t.Errorf("reader %d: it ends with %q", reader, a.body)
			}
		}
	}
	g.logs.await(t, 1, func(e entry) bool {
		reason, _ := e["reason"].(string)
		return e["msg"] == "withheld from the client" && strings.Contains(reason, "no valid message")
	})
}
