package bridge

import (
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// launch starts a process for the caller, within the bound of all processes, or takes a
// spare one. prepare says by opening it whose the conversation is; the owner calls exited
// when the process is gone. era is that of the kind which the process will be of, hello what
// the client says in initialize, if that is the first message of the process.
func (b *Bridge) launch(call *admission.Call, settings *Settings, era string, hello []byte, prepare func(Launch, opener) *answer.Refusal) (*spare, *answer.Refusal) {
	launch, err := settings.launch(call.Principal)
	if err != nil {
		return nil, failedToStart(settings, err)
	}
	try := kind{b.processOwner(call.Principal), launch.Digest, era}
	whose := ownerOf(call.Principal)
	warm, refusal := b.attempt(try, whose, settings, hello)
	if refusal != nil {
		return nil, refusal
	}
	b.refill()
	settings.complete(&launch.Process)
	var conn *backend.Conn
	died := false // the spare, which counts no more
	refusal = prepare(launch, func(cfg backend.Config) *backend.Conn {
		cfg.Process, cfg.Logger = launch.Process, settings.Logger
		if warm != nil && warm.conn.Adopt(cfg) {
			conn = warm.conn
			return conn
		}
		died, warm = warm != nil, nil
		conn = backend.New(cfg)
		return conn
	})
	if died {
		b.count()
	}
	if refusal != nil {
		b.breaker.unused(try)
	}
	switch {
	case refusal != nil && warm == nil:
		b.exited(whose)
		return nil, refusal
	case refusal != nil:
		if conn == nil {
			b.uncount(whose) // otherwise its owner hears of the end
		}
		warm.conn.Close("nobody uses it")
		return nil, refusal
	case warm != nil:
		return warm, nil
	}
	if err := conn.Start(); err != nil {
		b.exited(whose)
		b.breaker.failed(try)
		return nil, failedToStart(settings, err)
	}
	return nil, nil
}

// attempt is reserve where the server has not failed so often that it is to be waited with. One
// that comes to nothing for want of room says nothing of the server, and the next need not wait.
func (b *Bridge) attempt(try kind, whose owner, settings *Settings, hello []byte) (*spare, *answer.Refusal) {
	if refusal := b.breaker.refusal(try); refusal != nil {
		return nil, refusal
	}
	if pause := b.breaker.pause(try); pause > 0 {
		select {
		case <-time.After(pause):
		case <-b.stopping:
			return nil, closing()
		}
	}
	warm, refusal := b.reserve(whose, settings, hello)
	if refusal != nil {
		b.breaker.unused(try)
	}
	return warm, refusal
}

// complete sets what is the same for all processes. One that is busy with a call may read
// nothing for as long as that may take: many servers do one thing at a time, and whoever has a
// large message waiting for it must not end it for others.
func (s *Settings) complete(cfg *process.Config) {
	cfg.StopTimeout, cfg.Logger = s.StopTimeout, s.Logger
	cfg.StallTimeout = max(s.CallTimeout, process.DefaultStallTimeout)
}

// opener makes the conversation that a configuration describes.
type opener func(backend.Config) *backend.Conn

func failedToStart(settings *Settings, err error) *answer.Refusal {
	settings.Logger.Error("the server behind the gateway cannot be started", "error", err)
	return answer.New(http.StatusBadGateway, protocol.CodeInternal, "The server behind the gateway failed to start")
}

// reserve counts a process that is about to start, for its user and for all, or takes a
// spare one, which counts for all already. It counts until it is gone, so that nobody takes
// all of them by beginning and ending sessions.
func (b *Bridge) reserve(whose owner, settings *Settings, hello []byte) (*spare, *answer.Refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refusal := b.bars(whose); refusal != nil {
		return nil, refusal
	}
	if b.per != PerShared && !b.perUser.Acquire(whose.key(), settings.MaxSessions) {
		return nil, tooManySessions(settings)
	}
	if warm := b.takeSpare(hello); warm != nil {
		return warm, nil
	}
	if b.processes >= settings.MaxProcesses {
		b.uncount(whose)
		return nil, answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "All server processes are in use").RetryAfter(10 * time.Second)
	}
	b.processes++
	b.running.Add(1)
	return nil, nil
}

// count counts a process that is started instead of one that counted before.
func (b *Bridge) count() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.processes++
	b.running.Add(1)
}

// exited counts a process that is gone, or was not started after all.
func (b *Bridge) exited(whose owner) {
	b.uncount(whose)
	b.discount()
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
