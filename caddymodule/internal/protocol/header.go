package protocol

import (
	"encoding/base64"
	"strings"
)

// Header fields, in their canonical Go form.
const (
	HeaderVersion     = "Mcp-Protocol-Version"
	HeaderSession     = "Mcp-Session-Id"
	HeaderMethod      = "Mcp-Method"
	HeaderName        = "Mcp-Name"
	HeaderLastEventID = "Last-Event-Id"
	HeaderEarlyData   = "Early-Data" // of a proxy (RFC 8470)
)

// DecodeHeader undoes the =?base64?…?= form in which values that a header cannot hold
// are written (MCP 2026-07-28, Streamable HTTP). Any other value stands for itself. It
// reports whether the value is well-formed.
func DecodeHeader(value string) (string, bool) {
	encoded, ok := strings.CutPrefix(value, "=?base64?")
	if !ok {
		return value, true
	}
	if encoded, ok = strings.CutSuffix(encoded, "?="); !ok {
		return value, true
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	return string(decoded), err == nil
}
