package bridge

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
