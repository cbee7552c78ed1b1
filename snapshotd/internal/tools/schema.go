package tools

import (
	"encoding/json"
	"strconv"
	"strings"
)

// inputSchema is that of a tool with these properties.
func inputSchema(required string, properties ...string) json.RawMessage {
	schema := `{"type": "object", "properties": {` + strings.Join(properties, ", ") + `}`
	if required != "" {
		schema += `, "required": [` + required + `]`
	}
	return json.RawMessage(schema + `}`)
}

// The properties of arguments that several tools have.
const (
	userInput   = `"user": {"type": "string", "description": "The key of the user, as list_users gives it"}`
	cursorInput = `"cursor": {"type": "string", "description": "next_cursor of the page before; leave it out for the first page"}`
	formatInput = `"format": {"type": "string", "enum": ["jsonl", "markdown"], "default": "jsonl", "description": "JSON Lines, which can be imported again, or Markdown to read"}`
)

// limitInput is the property limit of a tool with pages.
func limitInput(most, unsaid int) string {
	return `"limit": {"type": "integer", "minimum": 1, "maximum": ` + strconv.Itoa(most) + `, "default": ` + strconv.Itoa(unsaid) +
		`, "description": "At most this many on the page"}`
}

// findInputs are the properties of a filter and its pages.
func findInputs() []string {
	return []string{
		`"name": {"type": "string", "description": "Of exactly this name"}`,
		`"name_prefix": {"type": "string", "description": "Of a name that begins so"}`,
		`"text": {"type": "string", "description": "That contain all of these words; \"several words\" stand together, and wor* begins a word"}`,
		`"created_after": {"type": "string", "description": "Created then or later: a date, or a date and time, UTC unless it has an offset"}`,
		`"created_before": {"type": "string", "description": "Created before then"}`,
		cursorInput,
		limitInput(maxFound, defaultLimit),
	}
}

// The parts of output schemas.
const (
	idProperty      = `"id": {"type": "integer"}`
	nameProperty    = `"name": {"type": ["string", "null"]}`
	createdProperty = `"created_at": {"type": "string", "description": "UTC, as 2025-10-26 12:00:00"}`
	summaryProperty = `"summary": {"type": "string"}`
	nextProperty    = `"next_cursor": {"type": "string", "description": "For the next page; absent on the last"}`

	entryProperties = idProperty + `, ` + nameProperty + `, ` + summaryProperty + `, ` + createdProperty
	entryRequired   = `"id", "name", "summary", "created_at"`
	entrySchema     = `{"type": "object", "properties": {` + entryProperties + `}, "required": [` + entryRequired + `]}`

	savedProperties  = idProperty + `, ` + nameProperty + `, ` + createdProperty
	loadedProperties = entryProperties +
		`, "continuation_prompt": {"type": "string", "description": "The text that resumes the conversation"}`
	listedProperties  = `"snapshots": {"type": "array", "items": ` + entrySchema + `}`
	deletedProperties = idProperty + `, "deleted": {"type": "boolean", "const": true}`

	foundProperties    = listedProperties + `, ` + nextProperty
	searchedProperties = `"matches": {"type": "array", "items": {"type": "object", "properties": {` + entryProperties +
		`, "snippet": {"type": "object", "properties": {` +
		`"field": {"type": "string", "enum": ["context", "next_steps", "summary", "name"]}, ` +
		`"text": {"type": "string"}, ` +
		`"hits": {"type": "array", "description": "Where the words stand in text, as UTF-16 offsets from and to", ` +
		`"items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}}` +
		`}, "required": ["field", "text", "hits"]}}, "required": [` + entryRequired + `, "snippet"]}}, ` + nextProperty

	limitsSchema = `{"type": "object", "description": "What there may be; what is absent has no limit", "properties": {` +
		`"snapshots": {"type": "integer"}, "bytes": {"type": "integer"}, "snapshot_bytes": {"type": "integer"}}}`
	retentionSchema = `{"type": "object", "description": "What saving deletes; what is absent deletes nothing", "properties": {` +
		`"keep_days": {"type": "number", "description": "Older snapshots are deleted"}, ` +
		`"keep_count": {"type": "integer", "description": "This many of the newest are kept"}, ` +
		`"prune_named": {"type": "boolean", "description": "Whether that concerns snapshots with a name, too"}}, "required": ["prune_named"]}`
	useProperties = `"snapshots": {"type": "integer"}, "bytes": {"type": "integer", "description": "Of names, summaries, contexts and next steps in UTF-8"}, ` +
		`"limits": ` + limitsSchema
	usedProperties = useProperties + `, "last_write": {"type": "string", "description": "UTC; absent if nothing was ever written"}, "retention": ` + retentionSchema

	exportedProperties = `"format": {"type": "string", "enum": ["jsonl", "markdown"]}, "snapshots": {"type": "array", "items": {"type": "object", "properties": {` +
		entryProperties + `, "context": {"type": "string"}, "next_steps": {"type": ["string", "null"]}}, "required": [` + entryRequired + `, "context", "next_steps"]}}, ` + nextProperty

	usersProperties = `"users": {"type": "array", "items": {"type": "object", "properties": {` +
		`"user": {"type": "string", "description": "The user's key"}, "issuer": {"type": "string"}, "subject": {"type": "string"}, ` +
		`"snapshots": {"type": "integer"}, "bytes": {"type": "integer"}, "last_write": {"type": "string"}, ` +
		`"problem": {"type": "string", "description": "Why the rest is not known"}}, "required": ["user", "snapshots", "bytes"]}}, ` + nextProperty

	quotaSchema = `{"type": "object", "description": "Only for quota_exceeded", "properties": {` +
		`"name": {"type": "string"}, "limit": {"type": "integer"}, "used": {"type": "integer"}, "wanted": {"type": "integer"}, ` +
		`"suggested": {"type": "array", "description": "What could be deleted", "items": ` + entrySchema + `}}, ` +
		`"required": ["name", "limit", "used", "wanted", "suggested"]}`
	errorProperties = `"code": {"type": "string"}, "message": {"type": "string"}, "details": {"type": "string"}, "required_scope": {"type": "string"}`
)

// outputSchema is that of an answer with the required members, or of an error.
func outputSchema(properties, required string) json.RawMessage {
	return answerSchema(properties, required, errorProperties)
}

// saveOutput is that of the one tool whose errors may be of a quota.
func saveOutput() json.RawMessage {
	return answerSchema(savedProperties, `"id", "name", "created_at"`, errorProperties+`, "quota": `+quotaSchema)
}

func answerSchema(properties, required, errors string) json.RawMessage {
	return json.RawMessage(`{"type": "object", "properties": {` + properties +
		`, "error": {"type": "object", "description": "Only where isError is set", "properties": {` + errors + `}, "required": ["code", "message"]}` +
		`}, "anyOf": [{"required": [` + required + `]}, {"required": ["error"]}]}`)
}
