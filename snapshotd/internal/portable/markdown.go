package portable

import (
	"fmt"
	"io"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// WriteMarkdown writes a snapshot as a section of a document. The texts are quoted in
// fences, so that nothing in them is taken for the document's own headings or markup.
func WriteMarkdown(w io.Writer, s store.Snapshot) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## #%d", s.ID)
	if s.Name != "" {
		fmt.Fprintf(&b, " (%s)", escape(s.Name))
	}
	fmt.Fprintf(&b, "\n\nSummary: %s\n\nSaved at: %s UTC\n\n### Context\n\n", escape(s.Summary), s.CreatedAt)
	fenced(&b, s.Context)
	if s.NextSteps != "" {
		b.WriteString("### Next steps\n\n")
		fenced(&b, s.NextSteps)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fenced writes a text between fences that are longer than any in it
// (CommonMark 0.31 section 4.5).
func fenced(b *strings.Builder, text string) {
	longest, run := 2, 0
	for _, c := range text {
		if c != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	fmt.Fprintf(b, "%stext\n%s\n%s\n\n", fence, strings.TrimSuffix(text, "\n"), fence)
}

// escape makes one line of plain text of a short text. What has a meaning at the
// beginning of a line only is left as it is.
func escape(text string) string {
	var b strings.Builder
	for _, c := range strings.Join(strings.Fields(text), " ") {
		if strings.ContainsRune("\\`*_[]<>#|~&", c) {
			b.WriteByte('\\') // CommonMark 0.31 section 2.4: any ASCII punctuation may be
		}
		b.WriteRune(c)
	}
	return b.String()
}
