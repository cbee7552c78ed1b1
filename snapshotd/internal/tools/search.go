package tools

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// How many matches a page has at most, and if nothing is said.
const (
	maxSearched     = 100
	defaultSearched = 20
)

// searched is the structured answer of search_snapshots.
type searched struct {
	Matches    []searchedEntry `json:"matches"`
	NextCursor string          `json:"next_cursor,omitempty"`
}

type searchedEntry struct {
	listedEntry
	Snippet snippet `json:"snippet"`
}

// snippet is a [store.Snippet] whose hits are UTF-16 offsets, as JavaScript counts.
type snippet struct {
	Field string   `json:"field"`
	Text  string   `json:"text"`
	Hits  [][2]int `json:"hits"`
}

func search(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	query, err := requiredText(arguments, "query")
	if err != nil {
		return nil, err
	}
	cursor, limit, err := pageOf(arguments, maxSearched, defaultSearched)
	if err != nil {
		return nil, err
	}
	page, err := s.Search(ctx, query, cursor, limit)
	if err != nil {
		return nil, storageFailure(err)
	}
	structured := searched{Matches: make([]searchedEntry, len(page.Matches)), NextCursor: page.Next}
	lines := make([]string, len(page.Matches))
	for i, m := range page.Matches {
		structured.Matches[i] = searchedEntry{
			listedEntry: listedEntries([]store.Entry{m.Entry})[0],
			Snippet:     snippet{Field: m.Snippet.Field, Text: m.Snippet.Text, Hits: utf16Hits(m.Snippet)},
		}
		lines[i] = listLine(m.Entry) + "\n    " + m.Snippet.Field + ": " + marked(m.Snippet)
	}
	if len(page.Matches) == 0 {
		return textResult("No snapshots match.", structured), nil
	}
	return textResult(strings.Join(lines, "\n")+more(page.Next), structured), nil
}

// marked is the text of a snippet with asterisks around what was looked for.
func marked(s store.Snippet) string {
	var b strings.Builder
	at := 0
	for _, hit := range s.Hits {
		b.WriteString(s.Text[at:hit[0]] + "**" + s.Text[hit[0]:hit[1]] + "**")
		at = hit[1]
	}
	return oneLine(b.String() + s.Text[at:])
}

func utf16Hits(s store.Snippet) [][2]int {
	hits := make([][2]int, len(s.Hits))
	for i, hit := range s.Hits {
		from := utf16Length(s.Text[:hit[0]])
		hits[i] = [2]int{from, from + utf16Length(s.Text[hit[0]:hit[1]])}
	}
	return hits
}

func utf16Length(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
