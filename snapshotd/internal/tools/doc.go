// Package tools is the four tools of the snapshot server: what they are called,
// what they take and what they answer.
//
// Names, arguments and texts are those of the original server, so that a client
// made for it goes on working. The arguments are read here from their raw JSON and
// not validated by go-sdk against the schema, because the original answers bad
// arguments with texts of its own and is more tolerant than its schema.
//
// Every answer says the same twice: as text, and as structuredContent under the
// tool's output schema. An error has the member "error" there and is valid under
// the same schema, because clients that validate structuredContent do so whether
// or not isError is set.
package tools
