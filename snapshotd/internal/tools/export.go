package tools

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/portable"
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

// exportedEntry is a whole snapshot. The continuation prompt is made of the rest.
type exportedEntry struct {
	ID        int64   `json:"id"`
	Name      *string `json:"name"`
	Summary   string  `json:"summary"`
	Context   string  `json:"context"`
	NextSteps *string `json:"next_steps"`
	CreatedAt string  `json:"created_at"`
}

// page is a part of an export.
type page struct {
	exported
	whole []store.Snapshot
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
	exporting, err := exportPage(ctx, s, format, cursor, limit)
	if err != nil {
		return nil, err
	}
	text, err := exporting.text()
	if err != nil {
		return nil, err
	}
	return textResult(text, exporting.exported), nil
}

// exportPage returns the page of an export that the cursor begins. The cursor is the id of
// the snapshot before.
func exportPage(ctx context.Context, s store.Store, format, cursor string, limit int) (page, error) {
	p := page{exported: exported{Format: format, Snapshots: []exportedEntry{}}}
	if format != jsonLines && format != markdown {
		return p, invalid("format must be " + jsonLines + " or " + markdown)
	}
	var after int64
	if cursor != "" {
		var err error
		if after, err = strconv.ParseInt(cursor, 10, 64); err != nil || after < 0 {
			return p, storageFailure(store.ErrCursor)
		}
	}
	size := int64(0)
	for snapshot, err := range store.Each(ctx, s, after) {
		if err != nil {
			return p, storageFailure(err)
		}
		size += snapshot.Bytes()
		if n := len(p.whole); n == limit || n > 0 && size > maxExportedBytes {
			p.NextCursor = strconv.FormatInt(p.whole[n-1].ID, 10)
			break
		}
		p.whole = append(p.whole, snapshot)
		p.Snapshots = append(p.Snapshots, exportedEntry{
			ID: snapshot.ID, Name: orNil(snapshot.Name), Summary: snapshot.Summary,
			Context: snapshot.Context, NextSteps: orNil(snapshot.NextSteps), CreatedAt: snapshot.CreatedAt,
		})
	}
	return p, nil
}

// text is the page in its format and nothing else, so that pages one after the other make
// the whole.
func (p page) text() (string, error) {
	write := portable.WriteLine
	if p.Format == markdown {
		write = portable.WriteMarkdown
	}
	var b strings.Builder
	for _, snapshot := range p.whole {
		if err := write(&b, snapshot); err != nil {
			return "", fmt.Errorf("write the export: %w", err)
		}
	}
	return b.String(), nil
}
