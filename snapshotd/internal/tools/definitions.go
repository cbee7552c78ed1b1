package tools

import (
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The names of the tools.
const (
	saveTool   = "save_snapshot"
	loadTool   = "load_snapshot"
	listTool   = "list_snapshots"
	deleteTool = "delete_snapshot"
)

// Definitions are the tools as tools/list shows them.
func Definitions() []*mcp.Tool {
	return []*mcp.Tool{
		{
			Name:         saveTool,
			Title:        "Save snapshot",
			Description:  "Save where a conversation stands, so that it can be resumed later.",
			InputSchema:  json.RawMessage(saveInput),
			OutputSchema: outputSchema(savedProperties, `"id", "name", "created_at"`),
			Annotations:  annotations(false, false, false),
		},
		{
			Name:         loadTool,
			Title:        "Load snapshot",
			Description:  "Load a snapshot to resume its conversation: by id, the newest of a name, or the newest of all.",
			InputSchema:  json.RawMessage(loadInput),
			OutputSchema: outputSchema(loadedProperties, `"id", "name", "summary", "created_at", "continuation_prompt"`),
			Annotations:  annotations(true, false, true),
		},
		{
			Name:         listTool,
			Title:        "List snapshots",
			Description:  "List saved snapshots, newest first.",
			InputSchema:  json.RawMessage(listInput),
			OutputSchema: outputSchema(listedProperties, `"snapshots"`),
			Annotations:  annotations(true, false, true),
		},
		{
			Name:         deleteTool,
			Title:        "Delete snapshot",
			Description:  "Delete a snapshot for good.",
			InputSchema:  json.RawMessage(deleteInput),
			OutputSchema: outputSchema(deletedProperties, `"id", "deleted"`),
			Annotations:  annotations(false, true, true),
		},
	}
}

// annotations of a tool that touches nothing but the user's own snapshots. A
// repeated delete changes nothing more, so it counts as idempotent though its
// second answer is an error.
func annotations(readOnly, destructive, idempotent bool) *mcp.ToolAnnotations {
	openWorld := false
	return &mcp.ToolAnnotations{
		ReadOnlyHint:    readOnly,
		DestructiveHint: &destructive,
		IdempotentHint:  idempotent,
		OpenWorldHint:   &openWorld,
	}
}

const saveInput = `{
  "type": "object",
  "properties": {
    "summary": {"type": "string", "description": "What the conversation is about, in a line or two"},
    "context": {
      "description": "What is needed to go on: free text, or an object",
      "oneOf": [
        {"type": "string"},
        {
          "type": "object",
          "properties": {
            "files": {"type": "array", "items": {"type": "string"}, "description": "Files worked on"},
            "decisions": {"type": "array", "items": {"type": "string"}, "description": "Decisions made"},
            "blockers": {"type": "array", "items": {"type": "string"}, "description": "What stands in the way"},
            "code_state": {"type": "object", "description": "The state of the code, in any form"}
          },
          "additionalProperties": true
        }
      ]
    },
    "name": {"type": "string", "description": "A name to load the snapshot by"},
    "next_steps": {"type": "string", "description": "What to do next"}
  },
  "required": ["summary", "context"]
}`

const loadInput = `{
  "type": "object",
  "properties": {
    "id": {"type": "number", "description": "The snapshot of this id"},
    "name": {"type": "string", "description": "The newest snapshot of this name"}
  }
}`

const listInput = `{
  "type": "object",
  "properties": {
    "limit": {"type": "number", "description": "At most this many", "default": 100}
  }
}`

const deleteInput = `{
  "type": "object",
  "properties": {
    "id": {"type": "number", "description": "The snapshot of this id"}
  },
  "required": ["id"]
}`

const (
	idProperty      = `"id": {"type": "integer"}`
	nameProperty    = `"name": {"type": ["string", "null"]}`
	createdProperty = `"created_at": {"type": "string", "description": "UTC, as 2025-10-26 12:00:00"}`
	summaryProperty = `"summary": {"type": "string"}`

	savedProperties  = idProperty + `, ` + nameProperty + `, ` + createdProperty
	loadedProperties = idProperty + `, ` + nameProperty + `, ` + summaryProperty + `, ` + createdProperty +
		`, "continuation_prompt": {"type": "string", "description": "The text that resumes the conversation"}`
	listedProperties = `"snapshots": {"type": "array", "items": {"type": "object", "properties": {` +
		idProperty + `, ` + nameProperty + `, ` + summaryProperty + `, ` + createdProperty +
		`}, "required": ["id", "name", "summary", "created_at"]}}`
	deletedProperties = idProperty + `, "deleted": {"type": "boolean", "const": true}`

	errorProperty = `"error": {"type": "object", "description": "Only where isError is set", "properties": {` +
		`"code": {"type": "string"}, "message": {"type": "string"}, "details": {"type": "string"}, ` +
		`"required_scope": {"type": "string"}}, "required": ["code", "message"]}`
)

// outputSchema is that of an answer with the required members, or of an error.
func outputSchema(properties, required string) json.RawMessage {
	return json.RawMessage(`{"type": "object", "properties": {` + properties + `, ` + errorProperty +
		`}, "anyOf": [{"required": [` + required + `]}, {"required": ["error"]}]}`)
}
