package tools

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// loaded is the structured answer of load_snapshot. Context and next steps are not
// repeated: the prompt holds both, and they may be large.
type loaded struct {
	ID                 int64   `json:"id"`
	Name               *string `json:"name"`
	Summary            string  `json:"summary"`
	CreatedAt          string  `json:"created_at"`
	ContinuationPrompt string  `json:"continuation_prompt"`
}

func load(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	id, err := optionalID(arguments)
	if err != nil {
		return nil, err
	}
	name, err := optionalText(arguments, "name")
	if err != nil {
		return nil, err
	}
	found, err := lookUp(ctx, s, id, name)
	if err != nil {
		return nil, err
	}
	return textResult(found.ContinuationPrompt, loaded{
		ID: found.ID, Name: orNil(found.Name), Summary: found.Summary,
		CreatedAt: found.CreatedAt, ContinuationPrompt: found.ContinuationPrompt,
	}), nil
}

// lookUp looks by id if there is one, else by name if there is one, else for the newest.
func lookUp(ctx context.Context, s store.Store, id *snapshotID, name string) (found store.Snapshot, err error) {
	var none *failure
	switch {
	case id != nil:
		none = notFoundByID(id)
		if !id.whole {
			return found, none
		}
		found, err = s.Load(ctx, id.value)
	case name != "":
		none = notFound(fmt.Sprintf(`Snapshot with name "%s" not found`, name), "")
		found, err = s.LoadNamed(ctx, name)
	default:
		none = notFound("No snapshots found", "Database is empty")
		found, err = s.LoadNewest(ctx)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return found, none
	case err != nil:
		return found, storageFailure(err)
	}
	return found, nil
}

func notFoundByID(id *snapshotID) *failure {
	return notFound("Snapshot with ID "+id.text+" not found", "")
}
