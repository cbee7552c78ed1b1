// Package stdio is the stdio transport of a server that must not lose an answer.
//
// MCP's stdio transport is one JSON-RPC message a line. go-sdk has one too, but
// when its input ends it cancels the calls in flight and drops their answers, and
// a single malformed line ends it. Here
//
//   - the end of input (or a stop) is reported to the session only when every call
//     that was read has been answered, so a client may write its requests and close
//     its end at once;
//   - a line that is no message is answered with the JSON-RPC error for it and the
//     next line is read;
//   - the number of calls in flight is bounded: beyond it the input waits.
//
// Batches are accepted where protocol version 2025-03-26, the only one that has
// them, was negotiated, and are answered by -32600 elsewhere.
package stdio
