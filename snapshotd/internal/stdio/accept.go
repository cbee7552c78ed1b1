package stdio

import (
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// accept puts the messages of one line into the queue. What is no message is
// answered at once; only a failing write is an error.
func (c *conn) accept(l line) error {
	switch {
	case errors.Is(l.err, errTooLong):
		return c.refuse(nil, jsonrpc.CodeInvalidRequest, "message longer than this server reads")
	case !json.Valid(l.data):
		return c.refuse(nil, jsonrpc.CodeParseError, "not valid JSON")
	case l.data[0] == '[':
		return c.acceptBatch(l.data)
	default:
		return c.acceptOne(l.data, nil)
	}
}

func (c *conn) acceptOne(data []byte, b *batch) error {
	message, err := jsonrpc.DecodeMessage(data)
	if err != nil {
		return c.refuse(idOf(data), jsonrpc.CodeInvalidRequest, err.Error())
	}
	if request, ok := message.(*jsonrpc.Request); ok && request.IsCall() {
		if !c.flights.add(request, len(data), b) {
			// The id is not repeated: the client would take this for the answer to
			// the call that has it.
			return c.refuse(nil, jsonrpc.CodeInvalidRequest, "the id of a request is already in use")
		}
	}
	c.queue = append(c.queue, message)
	return nil
}

// acceptBatch takes the messages of a batch one by one and joins their answers.
func (c *conn) acceptBatch(data []byte) error {
	if !c.flights.batchesAllowed() {
		return c.refuse(nil, jsonrpc.CodeInvalidRequest, "batches are of protocol version "+batchVersion+" only")
	}
	var messages []json.RawMessage
	if err := json.Unmarshal(data, &messages); err != nil || len(messages) == 0 {
		return c.refuse(nil, jsonrpc.CodeInvalidRequest, "empty batch")
	}
	// No answer is written while the batch is read: the session gets its calls only
	// after this, from the queue.
	b := new(batch)
	for _, message := range messages {
		if err := c.acceptOne(message, b); err != nil {
			return err
		}
	}
	return nil
}

// refusal is a JSON-RPC error whose id may be null, which go-sdk cannot write.
type refusal struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   jsonrpc.Error   `json:"error"`
}

// refuse answers a line that reaches no handler. A nil id is written as null
// (JSON-RPC 2.0 section 5).
func (c *conn) refuse(id json.RawMessage, code int64, reason string) error {
	data, err := json.Marshal(refusal{Version: "2.0", ID: id, Error: jsonrpc.Error{Code: code, Message: reason}})
	if err != nil {
		return err
	}
	return c.out.writeLine(data)
}

// idOf is the id of something that is no good message, nil if it has none that
// could be answered.
func idOf(data []byte) json.RawMessage {
	var envelope struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(data, &envelope) != nil || len(envelope.ID) == 0 {
		return nil
	}
	switch c := envelope.ID[0]; {
	case c == '"', c == '-', c >= '0' && c <= '9':
		return envelope.ID
	}
	return nil
}

// cancelled is the notification a client would send to end a call.
func cancelled(id jsonrpc.ID) *jsonrpc.Request {
	params, err := json.Marshal(map[string]any{"requestId": id.Raw(), "reason": "the input has ended"})
	if err != nil {
		params = nil // ids are strings and integers: not reached
	}
	return &jsonrpc.Request{Method: "notifications/cancelled", Params: params}
}
