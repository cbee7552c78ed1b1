package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The versions that the raw client speaks.
const (
	legacyVersion = "2025-11-25"
	modernVersion = "2026-07-28"
)

type object = map[string]any

// peer is a client that writes its HTTP requests itself, so that it can write wrong ones.
type peer struct {
	t       testing.TB
	gateway *gateway
	token   string
	version string              // of the header; "" leaves it out
	session string              // of the header; "" leaves it out
	prove   func(*http.Request) // what a token that is bound to a key takes; may be nil
}

// anyone is a peer that has begun nothing. Token "" sends none.
func (g *gateway) anyone(t testing.TB, token string) *peer {
	return &peer{t: t, gateway: g, token: token}
}

// modern is a peer of 2026-07-28.
func (g *gateway) modern(t testing.TB, token string) *peer {
	return &peer{t: t, gateway: g, token: token, version: modernVersion}
}

// legacy is a peer of 2025-11-25 that has begun a session.
func (g *gateway) legacy(t testing.TB, token string) *peer {
	t.Helper()
	return g.anyone(t, token).initialized()
}

// initialized begins a session and returns the peer in it.
func (p *peer) initialized() *peer {
	p.t.Helper()
	a := p.post(initializeMessage(legacyVersion))
	if p.session = a.header.Get("Mcp-Session-Id"); a.status != http.StatusOK || p.session == "" {
		p.t.Fatalf("initialize: %d %q %s", a.status, p.session, a.body)
	}
	p.version = legacyVersion
	if a := p.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); a.status != http.StatusAccepted {
		p.t.Fatalf("initialized: %d %s", a.status, a.body)
	}
	return p
}

func initializeMessage(version string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":%q,"capabilities":{"roots":{},"sampling":{},"elicitation":{}},"clientInfo":{"name":"peer","version":"1"}}}`, version)
}

// as is the same peer with another token.
func (p *peer) as(token string) *peer {
	other := *p
	other.token = token
	return &other
}

// request is a POST of the peer, with the headers that belong to the body.
func (p *peer) request(ctx context.Context, method, body string) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, p.gateway.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	if p.version != "" {
		r.Header.Set("Mcp-Protocol-Version", p.version)
	}
	if p.session != "" {
		r.Header.Set("Mcp-Session-Id", p.session)
	}
	switch method {
	case http.MethodGet:
		r.Header.Set("Accept", "text/event-stream")
	case http.MethodPost:
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Content-Type", "application/json")
	}
	if p.version >= modernVersion {
		mirror(r.Header, body)
	}
	if p.prove != nil {
		p.prove(r)
	}
	return r
}

// mirror sets the headers that repeat the body of a modern message.
func mirror(h http.Header, body string) {
	var m struct {
		Method string
		Params struct{ Name, URI string }
	}
	if json.Unmarshal([]byte(body), &m) != nil {
		return
	}
	h.Set("Mcp-Method", m.Method)
	if name := m.Params.Name + m.Params.URI; name != "" {
		h.Set("Mcp-Name", name)
	}
}

// answer is an HTTP answer that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

// silence is after how long an answer becomes an event stream if nothing has come until then.
const silence = 5 * time.Second

// has says whether the answer has that status, which the server behind has a say in. Where that
// was silent for too long, as it is on a machine that is busy, the status was 200 before it was known.
func (a answer) has(status int) bool {
	return a.status == status || a.status == http.StatusOK && a.took >= silence && a.isStream()
}

func (a answer) isStream() bool {
	return strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream")
}

// post sends one message. change may spoil the request.
func (p *peer) post(body string, change ...func(*http.Request)) answer {
	p.t.Helper()
	return p.do(http.MethodPost, body, change...)
}

func (p *peer) do(method, body string, change ...func(*http.Request)) answer {
	p.t.Helper()
	a, err := p.try(method, body, change...)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// try is do for goroutines other than the test's own.
func (p *peer) try(method, body string, change ...func(*http.Request)) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := p.request(ctx, method, body)
	for _, spoil := range change {
		spoil(r)
	}
	began := time.Now()
	response, err := p.gateway.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), time.Since(began)}, err
}

// reply is a JSON-RPC response.
type reply struct {
	ID     json.RawMessage
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    json.RawMessage
	}
}

// messages are those of the answer: the body, or the events in it that hold one.
func (a answer) messages() []string {
	if !a.isStream() {
		return []string{a.body}
	}
	var all []string
	for line := range strings.Lines(a.body) {
		if data, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data: "); ok && data != "" {
			all = append(all, data)
		}
	}
	return all
}

// reply is the last message of the answer.
func (a answer) reply(t testing.TB) reply {
	t.Helper()
	var r reply
	if err := json.Unmarshal([]byte(a.last()), &r); err != nil {
		t.Fatalf("%v: %d %q", err, a.status, a.body)
	}
	return r
}

// last is the last message of the answer, "" if there is none.
func (a answer) last() string {
	if all := a.messages(); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// code is that of the JSON-RPC error, 0 if the answer is none.
func (a answer) code() int {
	var r reply
	if json.Unmarshal([]byte(a.last()), &r) != nil || r.Error == nil {
		return 0
	}
	return r.Error.Code
}

// toolCall is the message that calls a tool. A modern one says version and capabilities.
func (p *peer) toolCall(id any, tool string, arguments object) string {
	params := object{"name": tool, "arguments": arguments}
	return p.message(id, "tools/call", params)
}

// message is a request, or with id nil a notification.
func (p *peer) message(id any, method string, params object) string {
	m := object{"jsonrpc": "2.0", "method": method}
	if id != nil {
		m["id"] = id
	}
	if p.version >= modernVersion && id != nil {
		meta := object{"io.modelcontextprotocol/protocolVersion": p.version, "io.modelcontextprotocol/clientCapabilities": object{}}
		if given, ok := params["_meta"].(object); ok {
			for key, value := range given {
				meta[key] = value
			}
		}
		if params == nil {
			params = object{}
		}
		params["_meta"] = meta
	}
	if params != nil {
		m["params"] = params
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // made of strings, numbers and objects only
	}
	return string(text)
}

// call calls a tool and returns the text of its result.
func (p *peer) call(id any, tool string, arguments object) string {
	p.t.Helper()
	text, err := p.tryCall(id, tool, arguments)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// tryCall is call for goroutines other than the test's own.
func (p *peer) tryCall(id any, tool string, arguments object) (string, error) {
	a, err := p.try(http.MethodPost, p.toolCall(id, tool, arguments))
	if err != nil {
		return "", err
	}
	return resultText(a)
}

func resultText(a answer) (string, error) {
	body := a.body
	if i := strings.LastIndex(body, "data: "); i >= 0 {
		body = body[i+len("data: "):]
	}
	var r struct {
		Result struct{ Content []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil || a.status != http.StatusOK || len(r.Result.Content) == 0 {
		return "", fmt.Errorf("status %d: %s", a.status, a.body)
	}
	return r.Result.Content[0].Text, nil
}

// inFlight is a request that is being answered.
type inFlight struct {
	cancel context.CancelFunc
	done   chan struct{}
	answer answer
	err    error
}

// begin sends a message and does not wait for the answer. The test ends it at the latest.
func (p *peer) begin(body string) *inFlight {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &inFlight{cancel: cancel, done: make(chan struct{})}
	r := p.request(ctx, http.MethodPost, body)
	go func() {
		defer close(f.done)
		began := time.Now()
		response, err := p.gateway.client.Do(r)
		if err != nil {
			f.err = err
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		f.err = err
		f.answer = answer{response.StatusCode, response.Header, string(text), time.Since(began)}
	}()
	p.t.Cleanup(func() {
		cancel()
		<-f.done
	})
	return f
}

// ended says whether the answer is there, or will not come.
func (f *inFlight) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// wait returns the answer once it is there.
func (f *inFlight) wait(t testing.TB) answer {
	t.Helper()
	select {
	case <-f.done:
	case <-time.After(patience):
		t.Fatal("no answer in time")
	}
	if f.err != nil {
		t.Fatal(f.err)
	}
	return f.answer
}
