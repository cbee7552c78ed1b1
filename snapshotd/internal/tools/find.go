package tools

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// maxFound is the most that a page of found snapshots holds.
const maxFound = store.MaxPage

// found is the structured answer of find_snapshots.
type found struct {
	listed
	NextCursor string `json:"next_cursor,omitempty"`
}

func find(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	filter, err := filterOf(arguments)
	if err != nil {
		return nil, err
	}
	cursor, limit, err := pageOf(arguments, maxFound, defaultLimit)
	if err != nil {
		return nil, err
	}
	page, err := s.Page(ctx, filter, cursor, limit)
	if err != nil {
		return nil, storageFailure(err)
	}
	structured := found{listed: listed{Snapshots: listedEntries(page.Entries)}, NextCursor: page.Next}
	if len(page.Entries) == 0 {
		return textResult("No snapshots found.", structured), nil
	}
	return textResult(strings.Join(listLines(page.Entries), "\n")+more(page.Next), structured), nil
}

func filterOf(arguments jsjson.Value) (filter store.Filter, err error) {
	if filter.Name, err = optionalText(arguments, "name"); err != nil {
		return filter, err
	}
	if filter.NamePrefix, err = optionalText(arguments, "name_prefix"); err != nil {
		return filter, err
	}
	if filter.Text, err = optionalText(arguments, "text"); err != nil {
		return filter, err
	}
	if filter.From, err = optionalTime(arguments, "created_after"); err != nil {
		return filter, err
	}
	filter.To, err = optionalTime(arguments, "created_before")
	return filter, err
}

// pageOf reads which page is asked for.
func pageOf(arguments jsjson.Value, most, unsaid int) (cursor string, limit int, err error) {
	if cursor, err = optionalText(arguments, "cursor"); err != nil {
		return "", 0, err
	}
	limit, err = pageLimit(arguments, most, unsaid)
	return cursor, limit, err
}

// more ends a text that has a next page.
func more(cursor string) string {
	if cursor == "" {
		return ""
	}
	return "\n\nThere are more: call again with the cursor " + cursor
}
