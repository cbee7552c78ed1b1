package portable

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func snapshot(d store.Draft) store.Snapshot {
	return store.Snapshot{Draft: d, Saved: store.Saved{ID: 5, CreatedAt: "2025-10-26 12:00:00"}, ContinuationPrompt: d.Prompt()}
}

func TestLinesAreReadBack(t *testing.T) {
	odd := snapshot(store.Draft{Summary: "odd", Context: "c"})
	odd.ContinuationPrompt = "written by another program"
	want := []store.Snapshot{
		snapshot(store.Draft{Name: "<a&b>", Summary: "línea\n東京\u2028", Context: "c\x00\t", NextSteps: "n"}),
		snapshot(store.Draft{}),
		odd,
	}
	var b bytes.Buffer
	for _, s := range want {
		if err := WriteLine(&b, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.String(); strings.Count(got, "\n") != len(want) || !strings.Contains(got, `"<a&b>"`) || strings.Count(got, "continuation_prompt") != 1 {
		t.Errorf("written: %s", got)
	}
	r := NewReader(strings.NewReader(b.String() + "\n"))
	for i, w := range want {
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.ContinuationPrompt == "" {
			got.ContinuationPrompt = got.Prompt() // as the store does
		}
		if got != w {
			t.Errorf("%d: got %+v, want %+v", i, got, w)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	const good = `{"id":1,"summary":"s","context":"c","created_at":"2025-10-26 12:00:00","more":[]}` + "\n"
	for text, want := range map[string]string{
		good + "nonsense":                "line 2: it must be one snapshot as a JSON object",
		good + "\n" + `{"id":2}`:         "line 3: a snapshot needs summary, context and created_at",
		good + "{\"summary\":\"\xff\"}":  "line 2: it is not UTF-8",
		good + `{"id":"2"}`:              "line 2:",
		good + strings.Repeat(" ", 1000): "line 2: it is longer than 1000 bytes",
	} {
		r := newReader(strings.NewReader(text), 1000)
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestWhatIsWrittenCanBeRead holds the writer to the bound of the reader: what is found too
// long when it is read has been lost by then.
func TestWhatIsWrittenCanBeRead(t *testing.T) {
	s := snapshot(store.Draft{Summary: "\u2028\u2029", Context: "c"})
	var whole bytes.Buffer
	if err := WriteLine(&whole, s); err != nil {
		t.Fatal(err)
	}
	for longest, fits := range map[int]bool{whole.Len() - 1: false, whole.Len(): true} {
		var b bytes.Buffer
		err := writeLine(&b, s, longest)
		if fits != (err == nil) || !fits && (b.Len() > 0 || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "snapshot 5")) {
			t.Errorf("%d bytes: written %d, %v", longest, b.Len(), err)
		}
		_, err = newReader(&whole, longest).Next()
		if fits != (err == nil) {
			t.Errorf("%d bytes: read %v", longest, err)
		}
		whole.Reset()
		if err := WriteLine(&whole, s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMarkdownHoldsTheTextsApart(t *testing.T) {
	var b bytes.Buffer
	err := WriteMarkdown(&b, snapshot(store.Draft{Name: "a*b", Summary: "one\n# two", Context: "```\n## no heading\n```\n", NextSteps: "go on"}))
	const want = "## #5 (a\\*b)\n\nSummary: one \\# two\n\nSaved at: 2025-10-26 12:00:00 UTC\n\n" +
		"### Context\n\n````text\n```\n## no heading\n```\n````\n\n### Next steps\n\n```text\ngo on\n```\n\n"
	if err != nil || b.String() != want {
		t.Errorf("got %s, %v", &b, err)
	}
}
