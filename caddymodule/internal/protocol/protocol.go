// Package protocol names what versions of the Model Context Protocol there are and
// what their Streamable HTTP transports say on the wire.
//
// Versions fall into two eras. Legacy clients (2025-11-25 and before) begin with
// initialize and keep a session; modern ones (2026-07-28) have neither and carry
// version and capabilities in each request's _meta.
package protocol

import "slices"

// Era is a family of protocol versions.
type Era uint8

const (
	Legacy Era = iota + 1
	Modern
)

func (e Era) String() string {
	switch e {
	case Legacy:
		return "legacy"
	case Modern:
		return "modern"
	}
	return ""
}

const (
	// Version20241105 has no Streamable HTTP of its own, but a server may
	// negotiate it with a later client, which then names it in the header.
	Version20241105 = "2024-11-05"
	// Version20250326 is assumed where the header is absent.
	Version20250326 = "2025-03-26"
	Version20250618 = "2025-06-18"
	Version20251125 = "2025-11-25"
	Version20260728 = "2026-07-28"
)

// LegacyVersions are those that begin with initialize, newest first.
var LegacyVersions = []string{Version20251125, Version20250618, Version20250326, Version20241105}

// ModernVersions are those without a session, newest first.
var ModernVersions = []string{Version20260728}

// EraOf tells the era of a version: modern from 2026-07-28 on, known or not.
// Versions are dates, so they compare as strings.
func EraOf(version string) Era {
	if version >= Version20260728 {
		return Modern
	}
	return Legacy
}

// Versions are all that the gateway speaks, newest first.
func Versions() []string { return slices.Concat(ModernVersions, LegacyVersions) }

// Supported says whether the gateway speaks the version.
func Supported(version string) bool {
	return slices.Contains(LegacyVersions, version) || slices.Contains(ModernVersions, version)
}

// JSON-RPC 2.0 error codes, and those that MCP 2026-07-28 adds.
const (
	CodeParse              = -32700
	CodeInvalidRequest     = -32600
	CodeMethodNotFound     = -32601
	CodeInvalidParams      = -32602
	CodeInternal           = -32603
	CodeSession            = -32001 // clients of the legacy era start anew on this
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
)
