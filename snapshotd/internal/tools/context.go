package tools

import (
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
)

// headings are the members of a structured context that come first, in this
// order, under headings of their own.
var headings = []struct{ member, title string }{
	{"files", "Files"},
	{"decisions", "Decisions"},
	{"blockers", "Blockers"},
	{"code_state", "Code State"},
}

// formatContext is the text under which a structured context is stored: blocks of
// a heading and its content, a blank line between them, empty blocks left out.
// Further members follow in the order of the object, under their own names.
func formatContext(context jsjson.Value) string {
	var b strings.Builder
	for _, h := range headings {
		v := context.Get(h.member)
		if v.Kind() == jsjson.Array {
			writeBlock(&b, h.title, bullets(v.Items()))
		} else {
			writeBlock(&b, h.title, blockText(v))
		}
	}
	for _, m := range context.Members() {
		if !hasHeading(m.Name()) {
			writeBlock(&b, m.Name(), blockText(m.Value))
		}
	}
	return jsjson.TrimSpace(b.String())
}

func hasHeading(member string) bool {
	for _, h := range headings {
		if h.member == member {
			return true
		}
	}
	return false
}

func writeBlock(b *strings.Builder, title, text string) {
	if text == "" {
		return
	}
	b.WriteString(title)
	b.WriteString(":\n")
	b.WriteString(text)
	b.WriteString("\n\n")
}

// blockText is a string as it is and anything else as indented JSON; "" if empty.
func blockText(v jsjson.Value) string {
	switch {
	case v.Empty():
		return ""
	case v.Kind() == jsjson.String:
		return v.Text()
	default:
		return v.Indented()
	}
}

// bullets is one line an item. The schema asks for strings; whatever else comes is
// kept as JSON on its line.
func bullets(items []jsjson.Value) string {
	lines := make([]string, len(items))
	for i, item := range items {
		if item.Kind() == jsjson.String {
			lines[i] = "- " + item.Text()
		} else {
			lines[i] = "- " + item.Compact()
		}
	}
	return strings.Join(lines, "\n")
}
