package bridge

import (
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// doubt looks whether a process hangs, of which a call has just ended without an answer: it
// timed out, or its client gave it up. The process is pinged if it has been silent for a while
// since it was asked something, and hangs if it then writes not one byte until all that it was
// asked before has had the time of a call, and the ping that of a first answer. A server that
// is slow writes sooner or later, or answers the ping.
func (b *Bridge) doubt(conn *backend.Conn, settings *Settings) {
	if conn.Silent() < min(settings.CallTimeout, settings.StartTimeout) || !b.stay() {
		return
	}
	go func() {
		defer b.running.Done()
		conn.Doubt(settings.CallTimeout, settings.StartTimeout)
	}()
}

// hangs ends a process that does, unless it waits for a client's input: then it may do nothing
// else, and a client has longer for that than a call may take. That is no crash: the next
// process is started at once.
func (p *pooled) hangs(reason string) {
	if p.waits() {
		return
	}
	p.bridge.settings.Load().Logger.Warn("a server hangs, and is replaced", "reason", reason)
	p.end(reason)
}

// waits says whether the process has a call that is parked.
func (p *pooled) waits() bool {
	p.mu.Lock()
	current := p.current
	p.mu.Unlock()
	if current == nil {
		return false
	}
	current.mu.Lock()
	defer current.mu.Unlock()
	return current.asking != nil
}

// hangs ends the session with its own process that does.
func (s *session) hangs(reason string) {
	s.bridge.settings.Load().Logger.Warn("a session's server hangs, and is ended", "reason", reason)
	s.end(reason)
}
