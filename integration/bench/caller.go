package main

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
)

// childVar says that this program is to be the echo server.
const childVar = "ECHO_SERVER"

// caller makes calls of one session and checks their answers, in buffers of its own. Texts
// are letters and digits, which JSON leaves as they are.
type caller struct {
	meta           string // the content of _meta
	message, wants []byte
}

// call is the message of a call.
func (c *caller) call(id int, text []byte) []byte {
	m := append(c.message[:0], `{"jsonrpc":"2.0","id":`...)
	m = strconv.AppendInt(m, int64(id), 10)
	m = append(m, `,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`...)
	m = append(m, text...)
	m = append(m, `"},"_meta":{`...)
	m = append(m, c.meta...)
	c.message = append(m, `}}}`...)
	return c.message
}

// check finds whether raw is the answer to that call. Only an answer that is not, byte for
// byte, what the server wrote has to be decoded.
func (c *caller) check(raw []byte, id int, text []byte) error {
	w := append(c.wants[:0], `{"jsonrpc":"2.0","id":`...)
	w = strconv.AppendInt(w, int64(id), 10)
	w = append(w, `,"result":{"content":[{"type":"text","text":"`...)
	w = append(w, text...)
	c.wants = append(w, `"}]}}`...)
	if bytes.Equal(raw, c.wants) {
		return nil
	}
	var r struct {
		ID     int `json:"id"`
		Result struct {
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%w in %.200s", err, raw)
	}
	if r.ID != id || len(r.Result.Content) != 1 || r.Result.Content[0].Text != string(text) {
		return fmt.Errorf("the answer to call %d is %.200s", id, raw)
	}
	return nil
}
