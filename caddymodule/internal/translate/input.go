package translate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/identity"
)

// needsInput is the resultType of an answer that asks the client for input.
const needsInput = "input_required"

// AsksForInput says whether an answer is not the last one of its call: the server wants
// input, and the call again with it.
func AsksForInput(m *message.Message) bool {
	kind, _ := m.Result.String("resultType")
	return kind == needsInput
}

// inputKey names the one input that is asked for at a time.
const inputKey = "input"

// MayAsk says whether a call of the method can be answered with input_required (MCP
// 2026-07-28, Multi Round-Trip Requests).
func MayAsk(method string) bool {
	return method == message.MethodToolsCall || method == message.MethodPromptsGet || method == message.MethodRead
}

// InputRequired is the answer to the call with the id that asks the client for what the
// server's request asks. It always has params: a server may leave them out of roots/list (MCP
// 2025-11-25, Roots), and clients written with go-sdk v1.8 then fail the call.
func InputRequired(id []byte, request *message.Message, state string) []byte {
	asked := map[string]any{"method": request.Method, "params": struct{}{}}
	if request.Params.Present() {
		stripped, err := message.Parse(request.Edit().DropMeta(identity.MetaPrefix).Bytes(), 0)
		if err == nil {
			asked["params"] = json.RawMessage(stripped.Params.Raw())
		}
	}
	return inputRequired(id, map[string]any{inputKey: asked}, state)
}

func inputRequired(id []byte, requests map[string]any, state string) []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "result": map[string]any{
		"resultType":    needsInput,
		"inputRequests": requests,
		"requestState":  state,
	}})
}

// InputResponse is what a retry says to the server's request; nil if it does not say it.
func InputResponse(retry *message.Message) []byte {
	var responses map[string]json.RawMessage
	if json.Unmarshal(retry.Params.Get("inputResponses"), &responses) != nil {
		return nil
	}
	if response := responses[inputKey]; len(response) > 0 && response[0] == '{' {
		return response
	}
	return nil
}

// Response is the client's answer as the server's request wants it.
func Response(requestID, result []byte) []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(requestID), "result": json.RawMessage(result)})
}

// Withdrawn is the answer to a server's request that the client will not answer any more.
func Withdrawn(request *message.Message) []byte {
	if request.Method == methodElicit {
		return Response(request.ID, []byte(`{"action":"cancel"}`))
	}
	return frame(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(request.ID), "error": map[string]any{
		"code": -1, "message": "The client did not answer",
	}})
}

// Digest is equal for a call and its retry: it covers the method and all of params but
// what a retry changes, whatever the order of members (RFC 8785).
func Digest(m *message.Message) ([32]byte, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", m.Method)
	var parts []string
	for name, raw := range m.Params.All() {
		if name == "_meta" || name == "inputResponses" || name == "requestState" {
			continue
		}
		value := jsontext.Value(slices.Clone(raw))
		if err := value.Canonicalize(jsontext.AllowInvalidUTF8(true), jsontext.CanonicalizeRawInts(false)); err != nil {
			return [32]byte{}, fmt.Errorf("params.%s: %w", name, err)
		}
		parts = append(parts, fmt.Sprintf("%q:%d:%s\n", name, len(value), value))
	}
	slices.Sort(parts)
	for _, part := range parts {
		h.Write([]byte(part))
	}
	return [32]byte(h.Sum(nil)), nil
}
