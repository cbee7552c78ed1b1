package portable

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// MaxLine is how long a line may be that is read, in bytes.
const MaxLine = 64 << 20

// record is one snapshot as a line.
type record struct {
	ID        int64   `json:"id"`
	Name      string  `json:"name,omitempty"`
	Summary   *string `json:"summary"`
	Context   *string `json:"context"`
	NextSteps string  `json:"next_steps,omitempty"`
	CreatedAt string  `json:"created_at"`
	// ContinuationPrompt is only written where it is not what the rest gives.
	ContinuationPrompt string `json:"continuation_prompt,omitempty"`
}

// WriteLine writes a snapshot as one line of JSON.
func WriteLine(w io.Writer, s store.Snapshot) error {
	r := record{ID: s.ID, Name: s.Name, Summary: &s.Summary, Context: &s.Context, NextSteps: s.NextSteps, CreatedAt: s.CreatedAt}
	if s.ContinuationPrompt != s.Prompt() {
		r.ContinuationPrompt = s.ContinuationPrompt
	}
	encoder := json.NewEncoder(w) // ends each value with a line break
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// Reader reads what WriteLine wrote. Members that it does not know are passed over,
// and so are empty lines.
type Reader struct {
	lines *bufio.Scanner
	line  int
}

// NewReader reads lines from r.
func NewReader(r io.Reader) *Reader {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), MaxLine)
	return &Reader{lines: lines}
}

// Next returns the next snapshot, or io.EOF. Other errors name the line.
func (r *Reader) Next() (store.Snapshot, error) {
	for r.lines.Scan() {
		r.line++
		if len(r.lines.Bytes()) == 0 {
			continue
		}
		s, err := parse(r.lines.Bytes())
		if err != nil {
			return store.Snapshot{}, fmt.Errorf("line %d: %w", r.line, err)
		}
		return s, nil
	}
	if err := r.lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return store.Snapshot{}, fmt.Errorf("line %d: it is longer than %d MiB", r.line+1, MaxLine>>20)
	} else if err != nil {
		return store.Snapshot{}, fmt.Errorf("after line %d: %w", r.line, err)
	}
	return store.Snapshot{}, io.EOF
}

func parse(line []byte) (store.Snapshot, error) {
	if !utf8.Valid(line) {
		return store.Snapshot{}, errors.New("it is not UTF-8")
	}
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return store.Snapshot{}, fmt.Errorf("it must be one snapshot as a JSON object: %w", err)
	}
	if r.Summary == nil || r.Context == nil || r.CreatedAt == "" {
		return store.Snapshot{}, errors.New("a snapshot needs summary, context and created_at")
	}
	return store.Snapshot{
		Draft:              store.Draft{Name: r.Name, Summary: *r.Summary, Context: *r.Context, NextSteps: r.NextSteps},
		Saved:              store.Saved{ID: r.ID, CreatedAt: r.CreatedAt},
		ContinuationPrompt: r.ContinuationPrompt,
	}, nil
}
