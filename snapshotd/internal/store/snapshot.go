package store

import "strings"

// Draft is a snapshot that is not stored yet. Its texts are valid UTF-8.
type Draft struct {
	Name      string // "" for none
	Summary   string
	Context   string
	NextSteps string // "" for none
}

// Saved is what storing gave a snapshot.
type Saved struct {
	ID        int64
	CreatedAt string // UTC, as SQLite's datetime('now'): 2025-10-26 12:00:00
}

// Snapshot is a stored snapshot.
type Snapshot struct {
	Draft
	Saved
	// ContinuationPrompt is the text that resumes the conversation.
	ContinuationPrompt string
}

// Entry is a snapshot in a list.
type Entry struct {
	Saved
	Name    string // "" for none
	Summary string
}

// Prompt is the continuation prompt of a draft.
func (d Draft) Prompt() string {
	lines := []string{"Resuming: " + d.Summary, "", "Context:", d.Context}
	if d.NextSteps != "" {
		lines = append(lines, "", "Next:", d.NextSteps)
	}
	return strings.Join(lines, "\n")
}

// Bytes is the size of a snapshot as quotas count it: the UTF-8 bytes of what the
// user gave. The continuation prompt is made of that and does not count.
func (d Draft) Bytes() int64 {
	return int64(len(d.Name) + len(d.Summary) + len(d.Context) + len(d.NextSteps))
}
