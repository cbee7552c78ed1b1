package bridge

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/identity"
)

// launch starts a process for the caller, within the bound of all processes. prepare
// makes the conversation; whoever it belongs to calls exited when the process is gone.
func (b *Bridge) launch(call *admission.Call, settings *Settings, prepare func(Launch) (*backend.Conn, *answer.Refusal)) *answer.Refusal {
	launch, err := settings.Launch(call.Principal)
	if err != nil {
		return failedToStart(settings, err)
	}
	if refusal := b.reserve(settings.MaxProcesses); refusal != nil {
		return refusal
	}
	launch.Process.StopTimeout = settings.StopTimeout
	launch.Process.Logger = settings.Logger
	conn, refusal := prepare(launch)
	if refusal != nil {
		b.exited()
		return refusal
	}
	if err := conn.Start(); err != nil {
		b.exited()
		return failedToStart(settings, err)
	}
	return nil
}

func failedToStart(settings *Settings, err error) *answer.Refusal {
	settings.Logger.Error("the server behind the gateway cannot be started", "error", err)
	return answer.New(http.StatusBadGateway, protocol.CodeInternal, "The server behind the gateway failed to start")
}

// reserve counts a process that is about to start.
func (b *Bridge) reserve(limit int) *answer.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The gateway is shutting down").RetryAfter(time.Second)
	}
	if b.processes >= limit {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "All server processes are in use").RetryAfter(10 * time.Second)
	}
	b.processes++
	b.running.Add(1)
	return nil
}

// exited counts a process that is gone, or was not started after all.
func (b *Bridge) exited() {
	b.mu.Lock()
	b.processes--
	b.mu.Unlock()
	b.running.Done()
}

// stamp is what the gateway adds to the _meta of a message of the principal.
func (s *Settings) stamp(p *oauth.Principal) []message.MetaValue {
	if p == nil || !s.StampMeta {
		return nil
	}
	value, err := json.Marshal(p.Identity(s.StampClaims))
	if err != nil {
		// Claims come from JSON, so they can be written as JSON.
		panic("bridge: identity of a verified token: " + err.Error())
	}
	return []message.MetaValue{{Key: identity.MetaKey, Value: value}}
}
