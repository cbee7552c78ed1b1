package tools

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// deleted is the structured answer of delete_snapshot.
type deleted struct {
	ID      int64 `json:"id"`
	Deleted bool  `json:"deleted"`
}

func remove(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	id, err := optionalID(arguments)
	switch {
	case err != nil:
		return nil, err
	case id == nil:
		return nil, missing("Missing required field", "id is required")
	case !id.whole:
		return nil, notFoundByID(id)
	}
	err = s.Delete(ctx, id.value)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, notFoundByID(id)
	case err != nil:
		return nil, storageFailure(err)
	}
	return textResult(fmt.Sprintf("Deleted snapshot #%d", id.value), deleted{ID: id.value, Deleted: true}), nil
}
