package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// listed is the structured answer of list_snapshots.
type listed struct {
	Snapshots []listedEntry `json:"snapshots"`
}

type listedEntry struct {
	ID        int64   `json:"id"`
	Name      *string `json:"name"`
	Summary   string  `json:"summary"`
	CreatedAt string  `json:"created_at"`
}

func list(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	limit, err := listLimit(arguments)
	if err != nil {
		return nil, err
	}
	entries, err := s.List(ctx, limit)
	if err != nil {
		return nil, storageFailure(err)
	}
	structured := listed{Snapshots: listedEntries(entries)}
	if len(entries) == 0 {
		return textResult("No snapshots found.", structured), nil
	}
	return textResult(strings.Join(listLines(entries), "\n"), structured), nil
}

func listedEntries(entries []store.Entry) []listedEntry {
	listed := make([]listedEntry, len(entries))
	for i, e := range entries {
		listed[i] = listedEntry{ID: e.ID, Name: orNil(e.Name), Summary: e.Summary, CreatedAt: e.CreatedAt}
	}
	return listed
}

func listLines(entries []store.Entry) []string {
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = listLine(e)
	}
	return lines
}

func listLine(e store.Entry) string {
	return fmt.Sprintf("%s - %s [%s]", label(e.ID, oneLine(e.Name)), oneLine(e.Summary), e.CreatedAt)
}

// oneLine keeps the list a line for each snapshot, and a summary from posing as
// further ones. The structured answer has the summary as it is.
func oneLine(s string) string {
	isBreak := func(r rune) bool {
		return r >= '\n' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
	}
	if strings.IndexFunc(s, isBreak) < 0 {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, isBreak), " ")
}
