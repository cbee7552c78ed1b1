package bridge

import "time"

// Processes returns how many processes are running or ending.
func (b *Bridge) Processes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.processes
}

// Sessions returns how many legacy sessions are open.
func (b *Bridge) Sessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions)
}

// idles makes what is there end once it was unused for a moment, and begins to count at once.
// What came before may have taken any time.
func (g *gateway) idles() {
	const after = 50 * time.Millisecond
	settings := *g.bridge.settings.Load()
	settings.IdleTimeout = after
	g.bridge.settings.Store(&settings)
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	for _, s := range g.bridge.sessions {
		s.mu.Lock()
		s.idle.Reset(after)
		s.mu.Unlock()
	}
	for _, members := range g.bridge.pool {
		for _, p := range members {
			p.mu.Lock()
			if p.idle != nil {
				p.idle.Reset(after)
			}
			p.mu.Unlock()
		}
	}
}

// find returns the session that the headers name.
func (g *gateway) find(header []string) *session {
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	return g.bridge.sessions[header[3]]
}
