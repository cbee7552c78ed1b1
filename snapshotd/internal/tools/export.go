package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// How many snapshots a page of an export has at most, and if nothing is said.
const (
	maxExported     = store.MaxPage
	defaultExported = 100
	// maxExportedBytes is where a page ends before that, so that an answer stays within what
	// clients and gateways take. One snapshot is never divided.
	maxExportedBytes = 1 << 20
)

// The formats of an export.
const (
	jsonLines = "jsonl"
	markdown  = "markdown"
)

// exported is the structured answer of export_snapshots.
type exported struct {
	Format     string          `json:"format"`
	Snapshots  []exportedEntry `json:"snapshots"`
	NextCursor string          `json:"next_cursor,omitempty"`
}

// exportedEntry is also a line of JSON Lines. The continuation prompt is made of the rest.
type exportedEntry struct {
	ID        int64   `json:"id"`
	Name      *string `json:"name"`
	Summary   string  `json:"summary"`
	Context   string  `json:"context"`
	NextSteps *string `json:"next_steps"`
	CreatedAt string  `json:"created_at"`
}

func export(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	format, err := optionalText(arguments, "format")
	if err != nil {
		return nil, err
	}
	if format == "" {
		format = jsonLines
	}
	cursor, limit, err := pageOf(arguments, maxExported, defaultExported)
	if err != nil {
		return nil, err
	}
	page, err := exportPage(ctx, s, format, cursor, limit)
	if err != nil {
		return nil, err
	}
	text, err := page.text()
	if err != nil {
		return nil, err
	}
	return textResult(text, page), nil
}

// exportPage returns the page of an export that the cursor begins. The cursor is the id of
// the snapshot before.
func exportPage(ctx context.Context, s store.Store, format, cursor string, limit int) (exported, error) {
	page := exported{Format: format, Snapshots: []exportedEntry{}}
	if format != jsonLines && format != markdown {
		return page, invalid("format must be " + jsonLines + " or " + markdown)
	}
	var after int64
	if cursor != "" {
		var err error
		if after, err = strconv.ParseInt(cursor, 10, 64); err != nil || after < 0 {
			return page, storageFailure(store.ErrCursor)
		}
	}
	size := int64(0)
	for snapshot, err := range store.Each(ctx, s, after) {
		if err != nil {
			return page, storageFailure(err)
		}
		size += snapshot.Bytes()
		if n := len(page.Snapshots); n == limit || n > 0 && size > maxExportedBytes {
			page.NextCursor = strconv.FormatInt(page.Snapshots[n-1].ID, 10)
			break
		}
		page.Snapshots = append(page.Snapshots, exportedEntry{
			ID: snapshot.ID, Name: orNil(snapshot.Name), Summary: snapshot.Summary,
			Context: snapshot.Context, NextSteps: orNil(snapshot.NextSteps), CreatedAt: snapshot.CreatedAt,
		})
	}
	return page, nil
}

// text is the page in its format and nothing else, so that pages one after the other make
// the whole.
func (e exported) text() (string, error) {
	var b strings.Builder
	for _, snapshot := range e.Snapshots {
		if e.Format == markdown {
			b.WriteString(snapshot.markdown())
			continue
		}
		line, err := snapshot.line()
		if err != nil {
			return "", err
		}
		b.Write(line)
	}
	return b.String(), nil
}

func (e exportedEntry) line() ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line) // ends it
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("snapshot %d as JSON: %w", e.ID, err)
	}
	return line.Bytes(), nil
}

// markdown is a section. Texts stand in fences, so that nothing in them is taken for the
// document's own.
func (e exportedEntry) markdown() string {
	name := ""
	if e.Name != nil {
		name = *e.Name
	}
	section := "## Snapshot " + label(e.ID, oneLine(name)) + "\n\nSaved " + e.CreatedAt + " UTC\n\n### Summary\n\n" + fenced(e.Summary) +
		"\n### Context\n\n" + fenced(e.Context)
	if e.NextSteps != nil {
		section += "\n### Next steps\n\n" + fenced(*e.NextSteps)
	}
	return section + "\n"
}

// fenced puts a text into a code fence that is longer than any in it (CommonMark 0.31.2
// section 4.5).
func fenced(text string) string {
	longest, run := 0, 0
	for _, r := range text {
		if r == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", max(3, longest+1))
	return fence + "text\n" + strings.TrimSuffix(text, "\n") + "\n" + fence + "\n"
}
