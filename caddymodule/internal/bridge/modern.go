package bridge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// farFuture is the deadline of a subscription that no token limits.
const farFuture = 100 * 365 * 24 * time.Hour

func (b *Bridge) serveModern(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) {
	var refusal *answer.Refusal
	if call.Message.Kind == message.Notification {
		refusal = b.modernNotification(w, r, call, settings)
	} else {
		refusal = b.modernCall(w, r, call, settings)
	}
	if refusal != nil {
		RecordRefusal(settings.Audit, call, refusal)
		refuse(w, call, refusal)
	}
}

// modernNotification carries a notification to the process of the caller. Those that
// speak of a call or a session by name are accepted and go no further: a modern client
// cancels by closing the stream, and ids of several clients may be equal.
func (b *Bridge) modernNotification(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	switch call.Message.Method {
	case message.MethodCancelled, message.MethodInitialized, message.MethodProgress:
	default:
		release, refusal := b.admit(call, settings)
		if refusal != nil {
			return refusal
		}
		defer release()
		p, refusal := b.acquire(r.Context(), call, settings)
		if refusal != nil {
			return refusal
		}
		defer p.release()
		if err := p.conn.Send(call.Message, settings.stamp(call.Principal)); err != nil {
			return unavailable(err)
		}
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (b *Bridge) modernCall(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	release, refusal := b.admit(call, settings)
	if refusal != nil {
		return refusal
	}
	defer release()
	p, refusal := b.acquire(r.Context(), call, settings)
	if refusal != nil {
		return refusal
	}
	defer p.release()
	if tool := call.Tool(); tool != "" {
		if err := p.headers.Check(r.Header, tool, call.Message.Params.Get("arguments")); err != nil {
			return answer.New(http.StatusBadRequest, protocol.CodeHeaderMismatch, "Header mismatch: %v", err)
		}
	}

	x := &exchange{bridge: b, call: call, stream: &stream{request: call.Message.ID}, statusOf: modernStatus}
	p.enter(x.stream, call.Message)
	defer p.leave(x.stream)
	sent, err := p.conn.Call(call.Message, settings.stamp(call.Principal), p.sink(x.stream, call.Message))
	if err != nil {
		return unavailable(err)
	}
	last, err := x.run(w, r, modernDeadline(call, settings))
	if err != nil {
		sent.Cancel(nil, err.Error())
	}
	b.record(settings.Audit, call, last, err, x.bytesOut)
	return nil
}

// modernDeadline is when a call has taken too long. A subscription may go on as long
// as its token is good.
func modernDeadline(call *admission.Call, settings *Settings) time.Time {
	switch p := call.Principal; {
	case call.Message.Method != message.MethodListen:
		return time.Now().Add(settings.CallTimeout)
	case p == nil:
		return time.Now().Add(farFuture)
	default:
		return p.Expires.Add(settings.ClockSkew)
	}
}

// modernStatus is the HTTP status of an answer that comes first (MCP 2026-07-28,
// Streamable HTTP).
func modernStatus(e event) int {
	if e.msg == nil || !e.msg.IsError() {
		return http.StatusOK
	}
	code, _ := strconv.Atoi(string(e.msg.Error.Get("code")))
	switch code {
	case protocol.CodeMethodNotFound:
		return http.StatusNotFound
	case protocol.CodeHeaderMismatch, protocol.CodeMissingCapability, protocol.CodeUnsupportedVersion:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// unavailable is the answer when a message could not be handed to the process: there
// is no session that could have ended, so the client may just ask again.
func unavailable(err error) *answer.Refusal {
	refusal := refusalOf(err)
	if refusal.Status == http.StatusNotFound {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server's process has just ended").RetryAfter(time.Second)
	}
	return refusal
}

// acquire returns the caller's process, started and probed if need be, and counts the
// caller as its user until release.
func (b *Bridge) acquire(ctx context.Context, call *admission.Call, settings *Settings) (*pooled, *answer.Refusal) {
	launch, err := settings.Launch(call.Principal)
	if err != nil {
		return nil, failedToStart(settings, err)
	}
	key := ownerOf(call.Principal).key() + "\n" + launch.Digest
	for {
		b.mu.Lock()
		if time.Now().Before(b.legacyServer) {
			b.mu.Unlock()
			return nil, legacyOnly(call)
		}
		p := b.pool[key]
		if p == nil && !b.closed {
			p = &pooled{bridge: b, key: key, ready: make(chan struct{}), calls: map[*stream]*message.Message{}, lastUsed: time.Now()}
			b.pool[key] = p
			go p.start(call, settings)
		}
		b.mu.Unlock()
		if p == nil {
			return nil, closing()
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			return nil, answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The client went away")
		}
		if p.legacy {
			return nil, legacyOnly(call)
		}
		if p.refusal != nil {
			return nil, p.refusal
		}
		if p.use() {
			return p, nil
		}
		// It ended between being found and being used: the next one is fresh.
	}
}

func closing() *answer.Refusal {
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The gateway is shutting down").RetryAfter(time.Second)
}

func legacyOnly(call *admission.Call) *answer.Refusal {
	return answer.UnsupportedVersion(call.Version, protocol.LegacyVersions)
}

// start starts and probes the process. It belongs to no request: the first caller may
// leave while others wait.
func (p *pooled) start(call *admission.Call, settings *Settings) {
	b := p.bridge
	p.refusal = b.launch(call, settings, func(launch Launch) (*backend.Conn, *answer.Refusal) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			return nil, closing()
		}
		p.conn = backend.New(backend.Config{
			Process: launch.Process, Era: protocol.Modern, Logger: settings.Logger,
			Unclaimed: p.fromServer, Closed: p.closed,
		})
		return p.conn, nil
	})
	if p.refusal == nil {
		p.probe(settings)
	} else {
		p.forget()
	}
	if p.refusal == nil && !p.legacy {
		p.mu.Lock()
		p.idle = time.AfterFunc(settings.IdleTimeout, p.reap)
		p.mu.Unlock()
	}
	close(p.ready)
}

func (p *pooled) probe(settings *Settings) {
	ctx, cancel := context.WithTimeout(context.Background(), settings.StartTimeout)
	defer cancel()
	era, silent, err := p.conn.Probe(ctx)
	switch {
	case err != nil:
		p.refusal = failedToStart(settings, errors.Join(errors.New("it ended before it answered server/discover"), err))
		p.end("it failed to start")
	case era == protocol.Legacy:
		// Until legacy servers are bridged to modern clients, these are told which
		// versions do work. Silence proves nothing: look again next time.
		p.legacy = true
		if !silent {
			p.bridge.mu.Lock()
			p.bridge.legacyServer = time.Now().Add(5 * time.Minute)
			p.bridge.mu.Unlock()
		}
		p.end("it speaks legacy protocol versions only")
	}
}
