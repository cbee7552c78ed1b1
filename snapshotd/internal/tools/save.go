package tools

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// saved is the structured answer of save_snapshot.
type saved struct {
	ID        int64   `json:"id"`
	Name      *string `json:"name"`
	CreatedAt string  `json:"created_at"`
}

func save(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	draft, err := draftOf(arguments)
	if err != nil {
		return nil, err
	}
	stored, err := s.Save(ctx, draft)
	if err != nil {
		return nil, storageFailure(err)
	}
	return textResult("Saved snapshot "+label(stored.ID, draft.Name), saved{
		ID: stored.ID, Name: orNil(draft.Name), CreatedAt: stored.CreatedAt,
	}), nil
}

func draftOf(arguments jsjson.Value) (draft store.Draft, err error) {
	content := arguments.Get("context")
	if absent(arguments.Get("summary")) || absent(content) {
		return draft, missing("Missing required fields", "Both summary and context are required")
	}
	if draft.Summary, err = optionalText(arguments, "summary"); err != nil {
		return draft, err
	}
	if draft.Name, err = optionalText(arguments, "name"); err != nil {
		return draft, err
	}
	if draft.NextSteps, err = optionalText(arguments, "next_steps"); err != nil {
		return draft, err
	}
	switch content.Kind() {
	case jsjson.String:
		draft.Context = content.Text()
	case jsjson.Object:
		draft.Context = formatContext(content)
	default:
		return draft, invalid("context must be a string or an object")
	}
	return draft, nil
}

// label is "#5" or "#5 (name)".
func label(id int64, name string) string {
	if name == "" {
		return fmt.Sprintf("#%d", id)
	}
	return fmt.Sprintf("#%d (%s)", id, name)
}

// orNil makes an absent name a JSON null.
func orNil(name string) *string {
	if name == "" {
		return nil
	}
	return &name
}
