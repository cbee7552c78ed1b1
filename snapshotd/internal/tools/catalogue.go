package tools

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// The names of the tools. The first four are the original's.
const (
	saveTool   = "save_snapshot"
	loadTool   = "load_snapshot"
	listTool   = "list_snapshots"
	deleteTool = "delete_snapshot"

	findTool   = "find_snapshots"
	searchTool = "search_snapshots"
	usageTool  = "snapshot_usage"
	exportTool = "export_snapshots"

	usersTool       = "list_users"
	adminFindTool   = "admin_find_snapshots"
	adminLoadTool   = "admin_load_snapshot"
	adminExportTool = "admin_export_snapshots"
	adminDeleteTool = "admin_delete_snapshot"
)

// operation is what a tool does to one user's snapshots. Its error is a *failure or one of
// the protocol.
type operation func(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error)

// administration is what a tool does to those of others.
type administration func(ctx context.Context, stores store.Provider, arguments jsjson.Value) (*mcp.CallToolResult, error)

// tool is what is told of a tool, and what it does: either own or others.
type tool struct {
	definition *mcp.Tool
	own        operation
	others     administration
}

// catalogue is the tools of a server.
type catalogue struct {
	list   []*tool
	byName map[string]*tool
}

// newCatalogue makes the tools, those of administrators only where there are users.
func newCatalogue(retention store.Retention, users bool) *catalogue {
	list := []*tool{
		{definition: saveDefinition(), own: save},
		{definition: loadDefinition(), own: load},
		{definition: listDefinition(), own: list},
		{definition: deleteDefinition(), own: remove},
		{definition: findDefinition(), own: find},
		{definition: searchDefinition(), own: search},
		{definition: usageDefinition(), own: usage(retention)},
		{definition: exportDefinition(), own: export},
	}
	if users {
		list = append(list,
			&tool{definition: usersDefinition(), others: listUsers},
			&tool{definition: adminFindDefinition(), others: ofUser(find)},
			&tool{definition: adminLoadDefinition(), others: ofUser(load)},
			&tool{definition: adminExportDefinition(), others: ofUser(export)},
			&tool{definition: adminDeleteDefinition(), others: ofUser(remove)},
		)
	}
	c := &catalogue{list: list, byName: make(map[string]*tool, len(list))}
	for _, t := range list {
		c.byName[t.definition.Name] = t
	}
	return c
}

// find returns the tool of that name, nil if there is none.
func (c *catalogue) find(name string) *tool { return c.byName[name] }

// original says whether a tool is one of the original's, which everyone is shown.
func original(name string) bool {
	switch name {
	case saveTool, loadTool, listTool, deleteTool:
		return true
	}
	return false
}

// ofUser makes an operation one on the snapshots of the user whom the arguments name.
func ofUser(run operation) administration {
	return func(ctx context.Context, stores store.Provider, arguments jsjson.Value) (*mcp.CallToolResult, error) {
		user, err := requiredText(arguments, "user")
		if err != nil {
			return nil, err
		}
		snapshots, release, err := stores.AcquireUser(ctx, user)
		switch {
		case errors.Is(err, store.ErrNoUser):
			return nil, notFound(fmt.Sprintf(`User "%s" not found`, user), "")
		case err != nil:
			return nil, storageFailure(err)
		}
		defer release()
		return run(ctx, snapshots, arguments)
	}
}
