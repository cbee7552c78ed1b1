package portable

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// MaxLine is how long a line may be that is written and read, in bytes, its end included.
// It holds all that a client can send as text in a message of 64 MiB: characters that take
// up to twice the room as JSON escapes, and a continuation prompt that has them again.
const MaxLine = 256 << 20

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

// WriteLine writes a snapshot as one line of JSON. One that is longer than MaxLine is an
// error that wraps [store.ErrInvalid], since nobody could read it.
func WriteLine(w io.Writer, s store.Snapshot) error { return writeLine(w, s, MaxLine) }

func writeLine(w io.Writer, s store.Snapshot, longest int) error {
	r := record{ID: s.ID, Name: s.Name, Summary: &s.Summary, Context: &s.Context, NextSteps: s.NextSteps, CreatedAt: s.CreatedAt}
	if s.ContinuationPrompt != s.Prompt() {
		r.ContinuationPrompt = s.ContinuationPrompt
	}
	encoder := json.NewEncoder(boundedLine{w, longest}) // ends each value with a line break
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("snapshot %d: %w", s.ID, err)
	}
	return nil
}

// boundedLine passes on what is written in one piece, as an encoder of JSON does with a value.
type boundedLine struct {
	out     io.Writer
	longest int
}

func (l boundedLine) Write(p []byte) (int, error) {
	if len(p) > l.longest {
		return 0, fmt.Errorf("%w: it would be a line of %d bytes, and %d are what can be read again", store.ErrInvalid, len(p), l.longest)
	}
	return l.out.Write(p)
}

// Reader reads what WriteLine wrote. Members that it does not know are passed over,
// and so are empty lines.
type Reader struct {
	lines   *bufio.Scanner
	longest int
	line    int   // how many were read
	offset  int64 // where the next one begins
}

// NewReader reads lines from in.
func NewReader(in io.Reader) *Reader { return newReader(in, MaxLine) }

func newReader(in io.Reader, longest int) *Reader {
	r := &Reader{lines: bufio.NewScanner(in), longest: longest}
	r.lines.Buffer(make([]byte, 0, min(longest, 64<<10)), longest)
	r.lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		advance, token, err := bufio.ScanLines(data, atEOF)
		r.offset += int64(advance)
		return advance, token, err
	})
	return r
}

// next returns the next line that is not empty, or io.EOF. It is valid until the next call.
func (r *Reader) next() ([]byte, error) {
	for r.lines.Scan() {
		r.line++
		if len(r.lines.Bytes()) > 0 {
			return r.lines.Bytes(), nil
		}
	}
	if err := r.lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: it is longer than %d bytes", r.line+1, r.longest)
	} else if err != nil {
		return nil, fmt.Errorf("after line %d: %w", r.line, err)
	}
	return nil, io.EOF
}

// Next returns the next snapshot, or io.EOF. Other errors name the line.
func (r *Reader) Next() (store.Snapshot, error) {
	line, err := r.next()
	if err != nil {
		return store.Snapshot{}, err
	}
	if m, ok := parseMark(line); ok && m.Archive != nil {
		return store.Snapshot{}, fmt.Errorf("line %d: it is of an archive, which snapshotd restore takes", r.line)
	}
	return r.parsed(line)
}

// All yields what Next returns, up to the end or to an error.
func (r *Reader) All() iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		for {
			snapshot, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(snapshot, err) || err != nil {
				return
			}
		}
	}
}

func (r *Reader) parsed(line []byte) (store.Snapshot, error) {
	s, err := parse(line)
	if err != nil {
		return store.Snapshot{}, fmt.Errorf("line %d: %w", r.line, err)
	}
	return s, nil
}

// nextMark returns the next line of an archive if it is a mark, or io.EOF.
func (r *Reader) nextMark() (m mark, ok bool, err error) {
	line, err := r.next()
	if err != nil {
		return mark{}, false, err
	}
	m, ok = parseMark(line)
	return m, ok, nil
}

// nextOrEnd returns the next snapshot, or the mark that stands in its place.
func (r *Reader) nextOrEnd() (store.Snapshot, *mark, error) {
	line, err := r.next()
	if err != nil {
		return store.Snapshot{}, nil, err
	}
	if m, ok := parseMark(line); ok {
		return store.Snapshot{}, &m, nil
	}
	s, err := r.parsed(line)
	return s, nil, err
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
