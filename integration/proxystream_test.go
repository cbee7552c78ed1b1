package integration_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// streams is a server whose GET and POST send an event at once, and another when they are
// told to. It tells when a request of it has ended.
type streams struct {
	*upstream
	more, left chan struct{}
}

func streamingServer(t *testing.T) *streams {
	t.Helper()
	s := &streams{more: make(chan struct{}), left: make(chan struct{}, 64)}
	s.upstream = upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.left <- struct{}{} }()
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-s.more:
			fmt.Fprint(w, "data: 2\n\n")
		case <-r.Context().Done():
		}
	})
	return s
}

// begun says whether all these streams were begun. Otherwise it ends those that were.
func (s *streams) begun(all ...*events) bool {
	begun := 0
	for _, stream := range all {
		if first, open := stream.tryTake(); open && first.data == "1" {
			begun++
		}
	}
	if begun == len(all) {
		return true
	}
	for _, stream := range all {
		stream.cancel()
	}
	for range s.take() {
		<-s.left
	}
	return false
}

// proxyStreams are the ways to configure a proxy that matter to streams.
var proxyStreams = map[string]site{
	"as it is":         {},
	"flushing":         {proxyWith: []string{"flush_interval -1"}},
	"after encode":     {routes: []string{"encode"}},
	"HTTP/1 to Caddy":  {protocols: "h1"},
	"read in buffers":  {proxyWith: []string{"request_buffers 1MiB"}},
	"behind no TLS":    {plain: true},
	"with the h2 only": {protocols: "h2"},
}

func TestProxiedStreamsFlow(t *testing.T) {
	t.Parallel()
	for name, s := range proxyStreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := streamingServer(t)
			s.proxy = u.host
			g := start(t, s)
			modern, legacy := g.modern(t, g.token(t, "alice")), g.anyone(t, g.token(t, "alice"))
			for what, open := range map[string]func() *events{
				"GET":    func() *events { return legacy.listen(http.MethodGet, "") },
				"listen": func() *events { return modern.listen(http.MethodPost, modern.message(1, "subscriptions/listen", nil)) },
				"call":   func() *events { return modern.listen(http.MethodPost, modern.toolCall(1, "slow", nil)) },
			} {
				stream := open()
				if first := stream.take(); first.data != "1" {
					t.Errorf("%s: first %+v", what, first)
				}
				u.more <- struct{}{}
				if second := stream.take(); second.data != "2" || len(stream.ended()) != 0 {
					t.Errorf("%s: second %+v", what, second)
				}
				<-u.left
			}
			gone := legacy.listen(http.MethodGet, "")
			gone.take()
			gone.cancel()
			select {
			case <-u.left:
			case <-time.After(patience):
				t.Error("the server behind is not told that its client left")
			}
		})
	}
}

func TestProxiedStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	for name, s := range proxyStreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := streamingServer(t)
			s.proxy, s.oauth = u.host, []string{"clock_skew 0s"}
			g := start(t, s)
			var call, get, listen *events
			var legacy *peer
			g.endingSoon(t, func(token string) bool {
				modern := g.modern(t, token)
				legacy = g.anyone(t, token)
				call = modern.listen(http.MethodPost, modern.toolCall(1, "slow", nil))
				get = legacy.listen(http.MethodGet, "")
				listen = modern.listen(http.MethodPost, modern.message("sub", "subscriptions/listen", nil))
				return u.begun(call, get, listen)
			})
			if rest := get.ended(); len(rest) != 0 {
				t.Errorf("GET: %v", rest)
			}
			if rest := listen.ended(); len(rest) != 1 || (answer{body: rest[0].data}).reply(t).Result == nil {
				t.Errorf("listen: %v", rest)
			}
			for range 2 {
				select {
				case <-u.left:
				case <-time.After(patience):
					t.Fatal("the server behind is not told that the stream is over")
				}
			}
			u.more <- struct{}{} // what has begun may finish
			if rest := call.ended(); len(rest) != 1 || rest[0].data != "2" {
				t.Errorf("call: %v", rest)
			}
			if a := legacy.do(http.MethodGet, ""); a.status != http.StatusUnauthorized {
				t.Errorf("again: %d", a.status)
			}
		})
	}
}

// Caddy waits for open requests when it ends, for ever unless it is told otherwise.
func TestProxiedStreamsDoNotHoldUpTheExit(t *testing.T) {
	t.Parallel()
	u := streamingServer(t)
	g := start(t, site{proxy: u.host, admin: true})
	modern, legacy := g.modern(t, g.token(t, "alice")), g.anyone(t, g.token(t, "alice"))
	get := legacy.listen(http.MethodGet, "")
	get.take()
	g.reload(t, site{proxy: u.host, admin: true}) // the first stream belongs to what was before
	listen := modern.listen(http.MethodPost, modern.message("sub", "subscriptions/listen", nil))
	listen.take()
	g.signal(t, syscall.SIGTERM)
	if rest := get.ended(); len(rest) != 0 {
		t.Errorf("GET: %v", rest)
	}
	if rest := listen.ended(); len(rest) != 1 || (answer{body: rest[0].data}).reply(t).Result == nil {
		t.Errorf("listen: %v", rest)
	}
	select {
	case <-g.exited:
	case <-time.After(exitTime):
		t.Error("the gateway does not end")
	}
}
