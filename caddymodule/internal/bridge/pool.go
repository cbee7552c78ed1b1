package bridge

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/paramheader"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// pooled is a process that serves modern calls of one principal, in whatever session
// or connection they come.
type pooled struct {
	bridge *Bridge
	key    string
	conn   *backend.Conn

	ready   chan struct{}   // closed once the fields below are final
	refusal *answer.Refusal // why there is no process
	legacy  bool            // the server speaks legacy versions only

	headers paramheader.Table

	mu       sync.Mutex
	ended    bool
	users    int
	calls    map[*stream]*message.Message // in flight
	lastUsed time.Time
	idle     *time.Timer
}

func (p *pooled) use() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.users++
	return true
}

func (p *pooled) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	p.lastUsed = time.Now()
}

func (p *pooled) enter(s *stream, m *message.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[s] = m
}

func (p *pooled) leave(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, s)
}

// lesson is the stream of a tools/list. What it says is known before the client can act
// on it.
type lesson struct {
	*stream
	headers *paramheader.Table
}

func (l lesson) Deliver(e backend.Event) {
	if e.Last && e.Message != nil {
		l.headers.Learn(e.Message.Result.Get("tools"))
	}
	l.stream.Deliver(e)
}

// sink is where the answer to a call goes.
func (p *pooled) sink(s *stream, m *message.Message) backend.Sink {
	if m.Method == message.MethodToolsList {
		return lesson{s, &p.headers}
	}
	return s
}

// forget makes room for a fresh process under the same key.
func (p *pooled) forget() {
	b := p.bridge
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pool[p.key] == p {
		delete(b.pool, p.key)
	}
}

// end ends the process. Calls in flight are told.
func (p *pooled) end(reason string) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if p.idle != nil {
		p.idle.Stop()
	}
	conn := p.conn
	p.mu.Unlock()
	p.forget()
	if conn != nil {
		conn.Close(reason)
	}
}

func (p *pooled) reap() {
	timeout := p.bridge.settings.Load().IdleTimeout
	p.mu.Lock()
	left := timeout - time.Since(p.lastUsed)
	if p.users > 0 {
		left = timeout
	}
	if left > 0 && !p.ended {
		p.idle.Reset(left)
	}
	p.mu.Unlock()
	if left <= 0 {
		p.end("idle")
	}
}

// closed is told when the process is gone.
func (p *pooled) closed(err error) {
	p.bridge.settings.Load().Logger.Debug("a server has ended", "error", err)
	p.end("the server has ended")
	p.bridge.exited()
}

// fromServer takes what belongs to no call. A modern server writes no requests; what it
// logs goes to the call that asked for logs, if there is but one it can be from.
func (p *pooled) fromServer(m *message.Message, frame []byte) {
	logger := p.bridge.settings.Load().Logger
	if m.Kind == message.Request {
		p.answerRequest(m)
		return
	}
	if m.Method == message.MethodLog {
		if target := p.onlyLogger(); target != nil {
			target.push(event{frame: frame, msg: m})
			return
		}
	}
	logger.Debug("a notification of the server belongs to no call", "method", m.Method)
}

func (p *pooled) onlyLogger() *stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.calls) != 1 {
		return nil
	}
	for s, m := range p.calls {
		if m.Meta.Get(message.MetaLogLevel) != nil {
			return s
		}
	}
	return nil
}

func (p *pooled) answerRequest(m *message.Message) {
	frame := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	if m.Method != message.MethodPing {
		frame = answer.New(http.StatusOK, protocol.CodeMethodNotFound, "A client of protocol version %s takes no requests", protocol.Version20260728).Frame(m.ID)
	}
	if response, err := message.Parse(frame, 0); err == nil {
		_ = p.conn.Send(response, nil) // if it can't be told, it is ending
	}
}
