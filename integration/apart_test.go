package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowdPatience is how long one call of a crowd may take: all of them are in flight at
// once, and each user's first makes a database.
const crowdPatience = 5 * time.Minute

// The property: a thousand users at once, with equal names, ids and texts, through one
// process that all share; whatever one reads was written by that user, and all of it is
// there. It runs alone, since it takes all that the machine has.
func TestAThousandUsersOfOneProcessAreApart(t *testing.T) {
	many := 1000
	if testing.Short() || len(raceFlags) > 0 {
		many = 100
	}
	for era, users := range map[string]int{"modern": many, "legacy": many / 5} {
		t.Run(era, func(t *testing.T) {
			s := snapshots(t.TempDir())
			s.stdio = []string{"per shared", "queue_timeout 5m"}
			g := start(t, s)
			crowd := make([]*member, users)
			for i := range crowd {
				m := &member{name: fmt.Sprintf("user%d", i)}
				token := g.token(t, m.name)
				if m.peer = g.modern(t, token); era == "legacy" {
					m.peer = g.legacy(t, token)
				}
				crowd[i] = m
			}
			var all sync.WaitGroup
			for _, m := range crowd {
				all.Go(func() {
					if err := m.live(); err != nil {
						t.Errorf("%s: %v", m.name, err)
					}
				})
			}
			all.Wait()
		})
	}
}

// member is one user of a crowd.
type member struct {
	name string
	peer *peer
}

// marks are in every text of a crowd, so that it is known who wrote it.
var marks = regexp.MustCompile(`\[(user\d+)-(\w+)\]`)

// live saves, reads in every way there is and deletes.
func (m *member) live() error {
	for i, word := range []string{"first", "second"} {
		arguments := object{"name": "n", "summary": m.mark(word), "context": object{"notes": m.mark(word)}}
		if text, err := m.call("save_snapshot", arguments); err != nil || text != fmt.Sprintf("Saved snapshot #%d (n)", i+1) {
			return fmt.Errorf("save: %q %w", text, err)
		}
	}
	for _, read := range []struct {
		tool      string
		arguments object
		words     []string
	}{
		{"load_snapshot", object{"id": 1}, []string{"first"}},
		{"load_snapshot", object{"name": "n"}, []string{"second"}},
		{"list_snapshots", nil, []string{"first", "second"}},
		{"search_snapshots", object{"query": "user*"}, []string{"first", "second"}},
		{"delete_snapshot", object{"id": 1}, nil},
		{"find_snapshots", object{"name": "n"}, []string{"second"}},
	} {
		text, err := m.call(read.tool, read.arguments)
		if err != nil {
			return fmt.Errorf("%s: %w", read.tool, err)
		}
		if err := m.wrote(text, read.words...); err != nil {
			return fmt.Errorf("%s: %w", read.tool, err)
		}
	}
	body, err := m.send(m.peer.message("r", "resources/read", object{"uri": "snapshot://latest"}))
	if err != nil {
		return err
	}
	return m.wrote(body.body, "second")
}

func (m *member) mark(word string) string { return "[" + m.name + "-" + word + "]" }

// wrote holds that a text has marks of this member only, of just these words.
func (m *member) wrote(text string, words ...string) error {
	found := []string{}
	for _, mark := range marks.FindAllStringSubmatch(text, -1) {
		if mark[1] != m.name {
			return fmt.Errorf("read what %s wrote: %q", mark[1], text)
		}
		if !slices.Contains(found, mark[2]) {
			found = append(found, mark[2])
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, append([]string{}, words...)) {
		return fmt.Errorf("read %q, want %q, in %q", found, words, text)
	}
	return nil
}

func (m *member) call(tool string, arguments object) (string, error) {
	a, err := m.send(m.peer.toolCall("c", tool, arguments))
	if err != nil {
		return "", err
	}
	return resultText(a)
}

// send is peer.try for one of a crowd.
func (m *member) send(body string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), crowdPatience)
	defer cancel()
	response, err := m.peer.gateway.client.Do(m.peer.request(ctx, http.MethodPost, body))
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}, err
}

// Each of two users, in both eras, is told of their own changes and of no others, though
// all are at one process that all users share.
func TestUsersOfOneProcessAreToldOfTheirOwnChanges(t *testing.T) {
	t.Parallel()
	s := snapshots(t.TempDir())
	s.stdio = []string{"per shared"}
	g := start(t, s)
	type watcher struct {
		*peer
		told *events
	}
	watchers := map[string]watcher{}
	for _, user := range []string{"alice", "bob"} {
		l := g.legacy(t, g.token(t, user))
		for _, uri := range []string{"snapshot://latest", "snapshot://1"} {
			if a := l.post(l.message("s", "resources/subscribe", object{"uri": uri})); a.reply(t).Error != nil {
				t.Fatalf("%s subscribes: %s", user, a.body)
			}
		}
		watchers["legacy "+user] = watcher{l, l.listen(http.MethodGet, "")}
		m := g.modern(t, g.token(t, user))
		told := m.listen(http.MethodPost, m.message("listen", "subscriptions/listen", object{"notifications": object{
			"resourcesListChanged": true, "resourceSubscriptions": []string{"snapshot://latest", "snapshot://1"}}}))
		sseHeaders(t, told)
		m.subscribed(told, "listen", "notifications/subscriptions/acknowledged")
		watchers["modern "+user] = watcher{m, told}
	}
	// The eras have a process each, so each era's clients save for themselves. What one was
	// wrongly told of the other's save would come before what they are told of their own next.
	for _, round := range []struct {
		saver string
		all   bool // whether it is their first, which is snapshot 1
	}{
		{"legacy alice", true}, {"legacy bob", true}, {"legacy alice", false}, {"legacy bob", false},
		{"modern alice", false}, {"modern bob", false}, {"modern alice", false}, {"modern bob", false},
	} {
		w := watchers[round.saver]
		if text := w.call("c", "save_snapshot", object{"summary": "s", "context": "c"}); !strings.HasPrefix(text, "Saved snapshot #") {
			t.Fatalf("%s: %s", round.saver, text)
		}
		want := []string{"list", "snapshot://latest"}
		if round.all {
			want = append(want, "snapshot://1")
		}
		w.changes(t, round.saver, w.told, want...)
	}
	for name, w := range watchers {
		w.told.cancel()
		for _, e := range w.told.ended() {
			if strings.Contains(e.data, "notifications/resources/") {
				t.Errorf("%s was told of another's change: %s", name, e.data)
			}
		}
	}
}

// changes takes the notifications of one change, in any order.
func (p *peer) changes(t *testing.T, who string, told *events, want ...string) {
	t.Helper()
	var got []string
	for range want {
		e := told.take()
		var m struct {
			Method string
			Params struct {
				URI  string
				Meta object `json:"_meta"`
			}
		}
		if err := json.Unmarshal([]byte(e.data), &m); err != nil {
			t.Fatalf("%s: %q: %v", who, e.data, err)
		}
		if _, stamped := m.Params.Meta["io.github.snapgate/user"]; stamped {
			t.Errorf("%s: the stamp came through: %s", who, e.data)
		}
		switch m.Method {
		case "notifications/resources/list_changed":
			got = append(got, "list")
		case "notifications/resources/updated":
			got = append(got, m.Params.URI)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s was told of %q, want %q", who, got, want)
	}
}
