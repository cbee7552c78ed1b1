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
// makes the conversation; whoever it belongs to calls exited when the process is gone. era
// is that of the kind which the process will be of.
func (b *Bridge) launch(call *admission.Call, settings *Settings, era string, prepare func(Launch) (*backend.Conn, *answer.Refusal)) *answer.Refusal {
	launch, err := settings.Launch(call.Principal)
	if err != nil {
		return failedToStart(settings, err)
	}
	try := kind{b.processOwner(call.Principal), launch.Digest, era}
	if refusal := b.breaker.refusal(try); refusal != nil {
		return refusal
	}
	if refusal := b.reserve(ownerOf(call.Principal), settings); refusal != nil {
		return refusal
	}
	launch.Process.StopTimeout = settings.StopTimeout
	launch.Process.Logger = settings.Logger
	conn, refusal := prepare(launch)
	if refusal != nil {
		b.exited(ownerOf(call.Principal))
		return refusal
	}
	if err := conn.Start(); err != nil {
		b.exited(ownerOf(call.Principal))
		b.breaker.failed(try)
		return failedToStart(settings, err)
	}
	return nil
}

func failedToStart(settings *Settings, err error) *answer.Refusal {
	settings.Logger.Error("the server behind the gateway cannot be started", "error", err)
	return answer.New(http.StatusBadGateway, protocol.CodeInternal, "The server behind the gateway failed to start")
}

// reserve counts a process that is about to start, for its user and for all. It counts
// until it is gone, so that nobody takes all of them by beginning and ending sessions.
func (b *Bridge) reserve(whose owner, settings *Settings) *answer.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return closing()
	}
	if b.per != PerShared && !b.perUser.Acquire(whose.key(), settings.MaxSessions) {
		return tooManySessions(settings)
	}
	if b.processes >= settings.MaxProcesses {
		b.uncount(whose)
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "All server processes are in use").RetryAfter(10 * time.Second)
	}
	b.processes++
	b.running.Add(1)
	return nil
}

// exited counts a process that is gone, or was not started after all.
func (b *Bridge) exited(whose owner) {
	b.mu.Lock()
	b.processes--
	b.mu.Unlock()
	b.uncount(whose)
	b.running.Done()
}

// uncount takes a process from its user's count. One that all share is nobody's.
func (b *Bridge) uncount(whose owner) {
	if b.per != PerShared {
		b.perUser.Release(whose.key())
	}
}

func tooManySessions(settings *Settings) *answer.Refusal {
	return answer.New(http.StatusTooManyRequests, protocol.CodeInternal, "Too many sessions are open or ending: at most %d at once", settings.MaxSessions).RetryAfter(time.Minute)
}

// processOwner is whom a process that serves the principal belongs to.
func (b *Bridge) processOwner(p *oauth.Principal) owner {
	if b.per == PerShared {
		return owner{}
	}
	return ownerOf(p)
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
