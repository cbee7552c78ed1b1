package bridge

import (
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// doubt looks whether a process hangs, of which a call has just ended without an answer: it
// timed out, or its client gave it up. The process hangs if it has not written one byte for
// as long as a call may take, though it was asked something, and writes none either for as
// long as its first answer might take, though it is pinged. A server that is slow writes sooner
// or later, or answers the ping.
func (b *Bridge) doubt(conn *backend.Conn, settings *Settings) {
	if conn.Silent() < settings.CallTimeout || !b.stay() {
		return
	}
	go func() {
		defer b.running.Done()
		conn.Doubt(settings.CallTimeout, settings.StartTimeout)
	}()
}

// hangs ends a process that does. That is no crash: the next one is started at once.
func (p *pooled) hangs(reason string) {
	p.bridge.settings.Load().Logger.Warn("a server hangs, and is replaced", "reason", reason)
	p.end(reason)
}

// hangs ends the session with its own process that does.
func (s *session) hangs(reason string) {
	s.bridge.settings.Load().Logger.Warn("a session's server hangs, and is ended", "reason", reason)
	s.end(reason)
}
