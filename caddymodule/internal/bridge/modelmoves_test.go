package bridge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// moves are what can happen next. One that does not fit does nothing.
var moves = []func(*model){
	(*model).calls, (*model).calls, (*model).calls, (*model).progresses, (*model).progresses, (*model).progresses,
	(*model).answers, (*model).answers, (*model).cancels, (*model).answersLate, (*model).progressesLate,
	(*model).asks, (*model).asks, (*model).changes, (*model).repeats, (*model).returns, (*model).ends, (*model).dies, (*model).comes,
}

func (m *model) mark() string {
	m.marks++
	return fmt.Sprintf("m%d", m.marks)
}

// any is one of those that are such; nil if there is none.
func (m *model) any(such func(*client) bool) *client {
	var fit []*client
	for _, c := range m.clients {
		if such(c) {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[m.random.IntN(len(fit))]
}

func isBusy(c *client) bool { return len(c.calls) > 0 }

// begin adds a client.
func (m *model) begin(user string, legacy bool) {
	c := &client{user: user, legacy: legacy, header: []string{"X-User", user}}
	m.note("%s comes, legacy: %v", user, legacy)
	name := "modern"
	if legacy {
		c.header = m.g.asking(user)
		c.session = m.g.find(c.header)
		if !m.modernServer {
			name = "legacy"
		}
		c.stream = m.view("the stream of "+user, http.MethodGet, "", c.header...)
	}
	switch {
	case name == "legacy" && m.per == PerSession:
		name += c.header[3]
	case m.per != PerShared:
		name += " of " + user
	}
	if m.groups[name] == nil {
		m.groups[name] = &group{name: name, asks: legacy && !m.modernServer && m.per != PerShared, lapsed: map[*call]*client{}}
	}
	c.group = m.groups[name]
	m.clients = append(m.clients, c)
	m.barrier(c)
}

func (m *model) comes() {
	if len(m.clients) < 9 {
		m.begin([]string{"alice", "bob"}[m.random.IntN(2)], m.random.IntN(3) > 0)
	}
}

// request is a message of the client with its headers.
func (m *model) request(c *client, id, method, params string) (string, []string) {
	if c.legacy {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{"_meta":{"progressToken":"tok"},%s}}`, id, method, params), c.header
	}
	return modern(id, method, params, c.header...)
}

// barrier returns when all that the process of a client has said by now has been routed.
func (m *model) barrier(c *client) {
	body, header := m.request(c, `"barrier"`, "tools/call", `"name":"echo","arguments":{}`)
	m.g.post(body, header...).holds(http.StatusOK, `"content":[]`)
	c.seated = true
}

// act makes the server of a client say lines, in which $id and $token are those of a call.
func (m *model) act(c *client, mark string, lines ...string) {
	m.tellServer(c, fmt.Sprintf(`"mark":%q,%s`, mark, saying(lines...)))
	m.barrier(c)
}

func (m *model) tellServer(c *client, params string) {
	m.t.Helper()
	body, header := m.request(c, `0`, "notifications/act", params)
	body = strings.Replace(body, `"id":0,`, ``, 1)
	resp := m.g.post(body, header...)
	if text := resp.body(); resp.StatusCode != http.StatusAccepted {
		m.t.Fatalf("the notification: %d %s", resp.StatusCode, text)
	}
	c.seated = true
}

// calls begins a call. Ids are few, so that those of many clients are equal.
func (m *model) calls() {
	c := m.any(func(*client) bool { return true })
	id := []string{`1`, `"1"`, `2`}[m.random.IntN(3)]
	if c == nil || c.legacy && slices.ContainsFunc(c.calls, func(other *call) bool { return other.id == id }) {
		return
	}
	mark := m.mark()
	m.note("%s (%s) calls %s as %s", c.user, c.group.name, mark, id)
	body, header := m.request(c, id, "tools/call", fmt.Sprintf(`"name":"keep","arguments":{"mark":%q}`, mark))
	before := &call{viewer: m.view("call "+mark+" of "+c.user, http.MethodPost, body, header...), id: id, token: `"tok"`, mark: mark}
	m.g.log.read(m.t, `"`+mark+`"`)
	c.calls, c.seated = append(c.calls, before), true
}

func (m *model) oneOf(calls []*call) *call { return calls[m.random.IntN(len(calls))] }

func (m *model) progresses() {
	if c := m.any(isBusy); c != nil {
		of := m.oneOf(c.calls)
		of.step++
		m.note("progress %d of %s", of.step, of.mark)
		of.want = append(of.want, fmt.Sprintf("progress %s %d", of.token, of.step))
		m.act(c, of.mark, fmt.Sprintf(progress, of.step))
	}
}

func answerOf(mark string) string {
	return `{"jsonrpc":"2.0","id":$id,"result":{"mark":"` + mark + `"}}`
}

func (m *model) answers() {
	if c := m.any(isBusy); c != nil {
		m.answer(c, m.oneOf(c.calls))
	}
}

func (m *model) answer(c *client, of *call) {
	m.note("%s is answered", of.mark)
	of.want = append(of.want, fmt.Sprintf("result %s %s", of.id, of.mark))
	c.ends(of)
	m.act(c, of.mark, answerOf(of.mark))
}

// ends moves a call to those that are over.
func (c *client) ends(of *call) {
	c.calls = slices.DeleteFunc(c.calls, func(other *call) bool { return other == of })
	c.over = append(c.over, of)
}

// cancels gives up a call, in the way of its era.
func (m *model) cancels() {
	c := m.any(isBusy)
	if c == nil {
		return
	}
	of := m.oneOf(c.calls)
	m.note("%s is cancelled", of.mark)
	before := m.g.log.count("notifications/cancelled")
	if c.legacy {
		of.want = append(of.want, fmt.Sprintf("error %s -32603", of.id))
		m.g.notify("notifications/cancelled", `"requestId":`+of.id, c.header...)
	} else {
		of.leave()
		<-of.ended
	}
	m.g.until("the server is told", func() bool { return m.g.log.count("notifications/cancelled") > before })
	c.ends(of)
	c.group.lapsed[of] = c
}

// answersLate is an answer to a call that is over, which nobody must see.
func (m *model) answersLate() {
	if c := m.any(func(c *client) bool { return len(c.over) > 0 }); c != nil {
		of := m.oneOf(c.over)
		m.note("%s is answered late", of.mark)
		m.act(c, of.mark, answerOf("late"))
		delete(c.group.lapsed, of)
	}
}

func (m *model) progressesLate() {
	if c := m.any(func(c *client) bool { return len(c.over) > 0 }); c != nil {
		m.note("progress after the end of one of %s", c.user)
		m.act(c, m.oneOf(c.over).mark, fmt.Sprintf(progress, 99))
	}
}

// asks is a question of a legacy server: it goes to the session with calls, if there is but
// one and no cancelled call of another may be meant.
func (m *model) asks() {
	c := m.any(func(c *client) bool { return c.legacy && !m.modernServer })
	if c == nil {
		return
	}
	mark := m.mark()
	m.tellServer(c, fmt.Sprintf(`"mark":"",%s`, saying(`{"jsonrpc":"2.0","id":"q-`+mark+`","method":"elicitation/create","params":{"message":"`+mark+`"}}`)))
	to := m.meant(c)
	if to == nil {
		m.note("the server of %s asks nobody %s", c.user, mark)
		if line := m.g.log.read(m.t, `"q-`+mark+`"`, `"error"`); !strings.Contains(line, "-32601") {
			m.t.Errorf("question %s: the server was told %s", mark, line)
		}
		return
	}
	m.note("the server asks %s %s", to.user, mark)
	reader := to.stream
	if len(to.calls) == 1 {
		reader = to.calls[0].viewer
	}
	reader.want = append(reader.want, "question "+mark)
	m.g.until("it is asked", func() bool { return len(reader.seen()) >= len(reader.want) })
	m.reply(to, mark)
	m.g.log.read(m.t, `"q-`+mark+`"`, `"said":"`+mark+`"`)
}

// meant is whom a question is put to.
func (m *model) meant(c *client) *client {
	if m.per == PerSession {
		return c
	}
	if m.per == PerShared {
		return nil
	}
	var busy []*client
	for _, other := range m.clients {
		if other.group == c.group && isBusy(other) {
			busy = append(busy, other)
		}
	}
	if len(busy) != 1 {
		return nil
	}
	for _, of := range c.group.lapsed {
		if of != busy[0] {
			return nil
		}
	}
	return busy[0]
}

// reply answers the one question that is open in a session.
func (m *model) reply(c *client, mark string) {
	c.session.mu.Lock()
	var id []byte
	for _, open := range c.session.asked {
		if strings.Contains(string(open.id), "q-"+mark) {
			id = open.known
		}
	}
	c.session.mu.Unlock()
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "result": map[string]string{"said": mark}})
	if err != nil {
		m.t.Fatalf("question %s is not open: %v", mark, err)
	}
	m.g.post(string(text), c.header...).body()
}

// changes is a list that changed, of which each session is told.
func (m *model) changes() {
	c := m.any(func(c *client) bool { return c.legacy && !m.modernServer })
	if c == nil {
		return
	}
	m.note("lists change at the server of %s", c.user)
	for _, other := range m.clients {
		if other.group == c.group && (other.seated || other == c) {
			other.stream.want = append(other.stream.want, "notifications/tools/list_changed")
		}
	}
	m.act(c, "", `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
}

// repeats uses an id that is in flight.
func (m *model) repeats() {
	if c := m.any(func(c *client) bool { return c.legacy && isBusy(c) }); c != nil {
		m.note("%s repeats an id", c.user)
		body, header := m.request(c, m.oneOf(c.calls).id, "tools/call", `"name":"echo"`)
		m.g.post(body, header...).holds(http.StatusBadRequest, "-32600")
	}
}

// returns drops the GET stream and resumes it.
func (m *model) returns() {
	c := m.any(func(c *client) bool { return c.legacy && c.stream.at() != "" })
	if c == nil {
		return
	}
	m.note("%s resumes its stream", c.user)
	c.stream.leave()
	<-c.stream.ended
	c.stream = m.view("the stream of "+c.user, http.MethodGet, "", append([]string{"Last-Event-Id", c.stream.at()}, c.header...)...)
}

// ends is the end of a session, and of its calls.
func (m *model) ends() {
	c := m.any(func(c *client) bool { return c.legacy })
	if c == nil || len(m.clients) < 3 {
		return
	}
	m.note("a session of %s ends", c.user)
	m.g.do(m.t.Context(), http.MethodDelete, "", c.header...).body()
	m.leaves(c)
}

// leaves holds that the calls of a session that has ended are told, and forgets it.
func (m *model) leaves(c *client) {
	for _, of := range c.calls {
		of.want = append(of.want, fmt.Sprintf("error %s -32603", of.id))
		m.g.until(of.name+" ends", func() bool { return slices.Equal(of.seen(), of.want) })
		c.group.lapsed[of] = c
	}
	m.clients = slices.DeleteFunc(m.clients, func(other *client) bool { return other == c })
}

// dies is the end of a process. Sessions that have it for themselves end with it.
func (m *model) dies() {
	c := m.any(func(*client) bool { return true })
	if c == nil || m.random.IntN(2) == 0 {
		return
	}
	m.note("the server of %s (%s) dies", c.user, c.group.name)
	m.barrier(c)
	conn := m.conn(c)
	m.tellServer(c, `"die":true`)
	m.g.until("the server is known to have ended", func() bool { return !conn.Open() })
	group := c.group
	clear(group.lapsed)
	for _, other := range slices.Clone(m.clients) {
		if other.group != group {
			continue
		}
		other.seated = false
		if m.per == PerSession && other.legacy && !m.modernServer {
			m.leaves(other)
			continue
		}
		for len(other.calls) > 0 {
			of := other.calls[0]
			of.want = append(of.want, fmt.Sprintf("error %s -32603", of.id))
			other.ends(of)
		}
		other.over = nil
	}
}

// conn is the conversation with the process of a client that it has just used.
func (m *model) conn(c *client) *backend.Conn {
	if s := c.session; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.share == nil:
			return s.conn
		case s.share.upgraded:
			return s.share.listener.at.conn
		}
		return s.share.tenants.p.conn
	}
	m.g.bridge.mu.Lock()
	defer m.g.bridge.mu.Unlock()
	for _, members := range m.g.bridge.pool {
		for _, p := range members {
			if p.tenants == nil && (m.per == PerShared || p.kind.owner.subject == c.user) {
				return p.conn
			}
		}
	}
	m.t.Fatalf("%s has no process", c.user)
	return nil
}
