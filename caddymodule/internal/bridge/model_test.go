package bridge

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A model knows what each client must see, and nothing else: whatever clients of both eras
// and users do in whatever order, and the server says about which call, each message comes
// to its one reader, under the reader's own id and token.

// seeds is how many random runs each configuration gets, and steps how long each is.
func seeds() int {
	if os.Getenv("SNAPGATE_SOAK") != "" {
		return 100
	}
	return 2
}

const steps = 60

func TestClientsSeeWhatAModelOfThemSays(t *testing.T) {
	servers := map[string][]string{
		"both eras": {trace}, "legacy": {trace, legacyChild}, "modern": {trace, initializeVar + "=error"},
	}
	for _, per := range []Per{PerSession, PerUser, PerShared} {
		for name, env := range servers {
			for range seeds() {
				seed := rand.Uint64()
				t.Run(fmt.Sprintf("per %d, %s, seed %d", per, name, seed), func(t *testing.T) {
					t.Parallel()
					run := &model{
						t: t, per: per, modernServer: name == "modern", groups: map[string]*group{},
						random: rand.New(rand.NewPCG(seed, 0)),
						g:      openPer(t, per, func(s *Settings) { s.MaxConcurrent, s.MaxSessions = 1000, 1000 }, env...),
					}
					run.run()
				})
			}
		}
	}
}

// model is what should be.
type model struct {
	t            *testing.T
	g            *gateway
	per          Per
	modernServer bool
	random       *rand.Rand
	clients      []*client
	groups       map[string]*group
	marks        int
	did          []string
}

// group are the clients of one process.
type group struct {
	name   string
	asks   bool              // its server may ask its clients
	lapsed map[*call]*client // calls that were cancelled, and not answered since
}

// client is a legacy session with its GET stream, or a modern client.
type client struct {
	user    string
	legacy  bool
	group   *group
	header  []string
	session *session
	stream  *viewer
	calls   []*call
	over    []*call // that have ended, and may be answered late
	seated  bool    // the process knows of it
}

// call is one that the server keeps.
type call struct {
	*viewer
	id, token string
	mark      string
	step      int
}

// viewer reads one HTTP answer.
type viewer struct {
	name  string
	blind bool // to changes of lists, which sessions at a modern server are told after its end
	leave context.CancelFunc
	ended chan struct{}
	want  []string

	mu   sync.Mutex
	got  []string
	last string // id of an event
}

func (v *viewer) seen() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.got)
}

// at is the id of the newest event; "" before there is one.
func (v *viewer) at() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last
}

// view sends a request and reads what comes.
func (m *model) view(name, method, body string, header ...string) *viewer {
	ctx, leave := context.WithCancel(context.Background())
	v := &viewer{name: name, blind: m.modernServer, leave: leave, ended: make(chan struct{})}
	m.t.Cleanup(func() {
		leave()
		<-v.ended
	})
	began := make(chan struct{})
	go func() {
		defer close(v.ended)
		resp, err := m.g.send(ctx, method, body, header...)
		close(began)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		v.read(resp)
	}()
	if method == http.MethodGet { // its head comes at once
		<-began
	}
	return v
}

func (v *viewer) read(resp *http.Response) {
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		text, err := io.ReadAll(resp.Body)
		if err == nil {
			v.add(string(text), "")
		}
		return
	}
	id := ""
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); field {
		case "id":
			id = value
		case "data":
			v.add(value, id)
		}
	}
}

// add keeps a message in short.
func (v *viewer) add(data, id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id != "" {
		v.last = id
	}
	if text := short(data); data != "" && !(v.blind && strings.HasSuffix(text, "/list_changed")) {
		v.got = append(v.got, text)
	}
}

// short is what of a message is looked at.
func short(data string) string {
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct {
			ProgressToken json.RawMessage
			Progress      json.RawMessage
			URI           string
			Message       string
		}
		Result *struct{ Mark string }
		Error  *struct{ Code int }
	}
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		return err.Error() + ": " + data
	}
	switch {
	case m.Error != nil:
		return fmt.Sprintf("error %s %d", m.ID, m.Error.Code)
	case m.Result != nil:
		return fmt.Sprintf("result %s %s", m.ID, m.Result.Mark)
	case m.Method == "notifications/progress":
		return fmt.Sprintf("progress %s %s", m.Params.ProgressToken, m.Params.Progress)
	case m.ID != nil:
		return "question " + m.Params.Message
	}
	return m.Method + m.Params.URI
}

// run takes the steps, and holds after each that all is as it should be.
func (m *model) run() {
	defer func() {
		if m.t.Failed() {
			m.t.Logf("steps:\n%s", strings.Join(m.did, "\n"))
		}
	}()
	for _, user := range []string{"alice", "bob"} {
		m.begin(user, true)
		m.begin(user, true)
		m.begin(user, false)
	}
	for range steps {
		moves[m.random.IntN(len(moves))](m)
		m.holds()
	}
	for _, c := range slices.Clone(m.clients) {
		for len(c.calls) > 0 {
			m.answer(c, c.calls[0])
		}
	}
	m.holds()
}

// holds waits until everybody has seen what they must, and no more.
func (m *model) holds() {
	m.t.Helper()
	for _, c := range m.clients {
		viewers := []*viewer{c.stream}
		for _, call := range slices.Concat(c.calls, c.over) {
			viewers = append(viewers, call.viewer)
		}
		for _, v := range viewers {
			if v == nil {
				continue
			}
			m.g.until(fmt.Sprintf("%s sees %q", v.name, v.want), func() bool { return len(v.seen()) >= len(v.want) })
			if got := v.seen(); !slices.Equal(got, v.want) {
				m.t.Fatalf("%s has seen\n%q, must see\n%q", v.name, got, v.want)
			}
		}
		if c.session != nil {
			m.g.until("the calls of "+c.user+" that have ended are forgotten", func() bool { return m.counts(c) })
		}
	}
}

// counts says whether the gateway counts those calls that are in flight.
func (m *model) counts(c *client) bool {
	c.session.mu.Lock()
	calls := len(c.session.calls)
	share := c.session.share
	var at *tenants
	if share != nil {
		at = share.tenants
	}
	c.session.mu.Unlock()
	if calls != len(c.calls) {
		return false
	}
	if at == nil || !c.seated {
		return true
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	its := at.members[c.session]
	return its != nil && its.calls == len(c.calls)
}

func (m *model) note(format string, args ...any) { m.did = append(m.did, fmt.Sprintf(format, args...)) }
