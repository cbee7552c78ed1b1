package tools

import (
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func saveDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         saveTool,
		Title:        "Save snapshot",
		Description:  "Save where a conversation stands, so that it can be resumed later.",
		InputSchema:  json.RawMessage(saveInput),
		OutputSchema: saveOutput(),
		Annotations:  annotations(false, false, false),
	}
}

func loadDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         loadTool,
		Title:        "Load snapshot",
		Description:  "Load a snapshot to resume its conversation: by id, the newest of a name, or the newest of all.",
		InputSchema:  json.RawMessage(loadInput),
		OutputSchema: loadOutput(),
		Annotations:  annotations(true, false, true),
	}
}

func listDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         listTool,
		Title:        "List snapshots",
		Description:  "List saved snapshots, newest first.",
		InputSchema:  json.RawMessage(listInput),
		OutputSchema: outputSchema(listedProperties, `"snapshots"`),
		Annotations:  annotations(true, false, true),
	}
}

func deleteDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         deleteTool,
		Title:        "Delete snapshot",
		Description:  "Delete a snapshot for good.",
		InputSchema:  json.RawMessage(deleteInput),
		OutputSchema: deleteOutput(),
		Annotations:  annotations(false, true, true),
	}
}

func findDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         findTool,
		Title:        "Find snapshots",
		Description:  "List saved snapshots by name, text and date, newest first, a page at a time.",
		InputSchema:  inputSchema("", findInputs()...),
		OutputSchema: findOutput(),
		Annotations:  annotations(true, false, true),
	}
}

func searchDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:        searchTool,
		Title:       "Search snapshots",
		Description: "Search saved snapshots for words, the best matches first, each with the place where they stand.",
		InputSchema: inputSchema(`"query"`,
			`"query": {"type": "string", "description": "Words that must all occur; \"several words\" stand together, and wor* begins a word"}`,
			limitInput(maxSearched, defaultSearched), cursorInput),
		OutputSchema: outputSchema(searchedProperties, `"matches"`),
		Annotations:  annotations(true, false, true),
	}
}

func usageDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         usageTool,
		Title:        "Snapshot usage",
		Description:  "Tell how many snapshots there are, how much room they take, what the limits are and what is deleted by age or number.",
		InputSchema:  inputSchema(""),
		OutputSchema: outputSchema(usedProperties, `"snapshots", "bytes", "limits", "retention"`),
		Annotations:  annotations(true, false, true),
	}
}

func exportDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         exportTool,
		Title:        "Export snapshots",
		Description:  "Export whole snapshots, the oldest first, a page at a time.",
		InputSchema:  inputSchema("", formatInput, cursorInput, limitInput(maxExported, defaultExported)),
		OutputSchema: exportOutput(),
		Annotations:  annotations(true, false, true),
	}
}

func usersDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         usersTool,
		Title:        "List users",
		Description:  "For administrators: list the users who have snapshots, and what they use.",
		InputSchema:  inputSchema("", cursorInput, limitInput(maxUsers, defaultUsers)),
		OutputSchema: outputSchema(usersProperties, `"users"`),
		Annotations:  annotations(true, false, true),
	}
}

func adminFindDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         adminFindTool,
		Title:        "Find a user's snapshots",
		Description:  "For administrators: list the snapshots of a user by name, text and date, newest first, a page at a time.",
		InputSchema:  inputSchema(`"user"`, append([]string{userInput}, findInputs()...)...),
		OutputSchema: findOutput(),
		Annotations:  annotations(true, false, true),
	}
}

func adminLoadDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:        adminLoadTool,
		Title:       "Load a user's snapshot",
		Description: "For administrators: read a snapshot of a user: by id, the newest of a name, or the newest of all.",
		InputSchema: inputSchema(`"user"`, userInput,
			`"id": {"type": "integer", "description": "The snapshot of this id"}`,
			`"name": {"type": "string", "description": "The newest snapshot of this name"}`),
		OutputSchema: loadOutput(),
		Annotations:  annotations(true, false, true),
	}
}

func adminExportDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:         adminExportTool,
		Title:        "Export a user's snapshots",
		Description:  "For administrators: export whole snapshots of a user, the oldest first, a page at a time.",
		InputSchema:  inputSchema(`"user"`, userInput, formatInput, cursorInput, limitInput(maxExported, defaultExported)),
		OutputSchema: exportOutput(),
		Annotations:  annotations(true, false, true),
	}
}

func adminDeleteDefinition() *mcp.Tool {
	return &mcp.Tool{
		Name:        adminDeleteTool,
		Title:       "Delete a user's snapshot",
		Description: "For administrators: delete a snapshot of a user for good.",
		InputSchema: inputSchema(`"user", "id"`, userInput,
			`"id": {"type": "integer", "description": "The snapshot of this id"}`),
		OutputSchema: deleteOutput(),
		Annotations:  annotations(false, true, true),
	}
}

func loadOutput() json.RawMessage {
	return outputSchema(loadedProperties, entryRequired+`, "continuation_prompt"`)
}

func deleteOutput() json.RawMessage { return outputSchema(deletedProperties, `"id", "deleted"`) }

func findOutput() json.RawMessage { return outputSchema(foundProperties, `"snapshots"`) }

func exportOutput() json.RawMessage {
	return outputSchema(exportedProperties, `"format", "snapshots"`)
}

// annotations of a tool that touches nothing but snapshots. A repeated delete changes
// nothing more, so it counts as idempotent though its second answer is an error.
func annotations(readOnly, destructive, idempotent bool) *mcp.ToolAnnotations {
	openWorld := false
	return &mcp.ToolAnnotations{
		ReadOnlyHint:    readOnly,
		DestructiveHint: &destructive,
		IdempotentHint:  idempotent,
		OpenWorldHint:   &openWorld,
	}
}
