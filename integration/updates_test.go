package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

// A server reports what lies below the resource that was subscribed to. Of that nobody
// hears who may not read it.
func TestUpdatesAreToldToThoseWhoMayRead(t *testing.T) {
	t.Parallel()
	for _, per := range []string{"session", "user"} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			s := ruled()
			s.command = append(s.command, "-era", "legacy")
			s.stdio = []string{"per " + per}
			g := start(t, s)
			for user, scopes := range map[string][]string{"poor": {"tools:use"}, "rich": {"tools:use", "tools:more"}} {
				token := g.token(t, user, scopes...)
				legacy, modern := g.legacy(t, token), g.modern(t, token)
				stream := legacy.listen(http.MethodGet, "")
				if a := legacy.post(legacy.message(1, "resources/subscribe", object{"uri": "file:///srv/"})); a.status != http.StatusOK || a.code() != 0 {
					t.Fatalf("subscribe: %d %s", a.status, a.body)
				}
				listen := modern.listen(http.MethodPost, modern.message(1, "subscriptions/listen", object{"notifications": object{"resourceSubscriptions": []string{"file:///srv/"}}}))
				if first := listen.take(); !strings.Contains(first.data, "acknowledged") || !strings.Contains(first.data, "file:///srv/") {
					t.Fatalf("listen: %s", first.data)
				}
				for name, at := range map[string]struct {
					teller *peer
					stream *events
				}{"legacy": {legacy, stream}, "modern": {modern, listen}} {
					// Of what is told in this order the last is everyone's.
					uris := []string{"file:///srv/secret/b", "file:///srv/keys/d", "file:///srv/public/a"}
					for _, uri := range uris {
						at.teller.call(2, "tell", object{"method": "notifications/resources/updated", "params": object{"uri": uri}})
					}
					if user == "rich" {
						if e := at.stream.take(); !strings.Contains(e.data, uris[0]) {
							t.Errorf("%s, %s: the first update is %s", user, name, e.data)
						}
					}
					if e := at.stream.take(); !strings.Contains(e.data, uris[2]) {
						t.Errorf("%s, %s: the last update is %s", user, name, e.data)
					}
				}
			}
		})
	}
}
