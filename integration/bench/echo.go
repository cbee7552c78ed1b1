package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// childVar says that this program is to be the echo server.
const childVar = "ECHO_SERVER"

// request is as much of a message as the echo server looks at.
type request struct {
	ID     jsontext.Value `json:"id"`
	Method string         `json:"method"`
	Params struct {
		Arguments struct {
			Text jsontext.Value `json:"text"`
		} `json:"arguments"`
	} `json:"params"`
}

// child is the trivial server.
func child(in io.Reader, out io.Writer) {
	reader, writer := bufio.NewReaderSize(in, 1<<20), bufio.NewWriterSize(out, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		answer(line, writer)
		if reader.Buffered() == 0 {
			if writer.Flush() != nil {
				return
			}
		}
	}
}

// answer writes the answer to one line, if it wants one.
func answer(line []byte, w io.Writer) {
	var r request
	if json.Unmarshal(line, &r) != nil || r.ID == nil {
		return
	}
	result := `{}`
	switch r.Method {
	case "initialize":
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}`
	case "server/discover":
		result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}`
	case "tools/call":
		result = `{"content":[{"type":"text","text":` + string(r.Params.Arguments.Text) + `}]}`
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", r.ID, result)
}

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
