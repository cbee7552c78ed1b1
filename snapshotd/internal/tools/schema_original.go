package tools

// The input schemas of the original's tools. Clients were generated from them, so they
// stay to the byte; a test holds that. None says additionalProperties: false.

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
