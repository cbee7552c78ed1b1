// Package echo is the trivial server that the benchmark puts behind everything it measures.
package echo

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

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

// Serve answers what it reads until that ends.
func Serve(in io.Reader, out io.Writer) {
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

// Handle is the echo server as an HTTP handler.
func Handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var out bytes.Buffer
	answer(body, &out)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()-1))
	_, _ = w.Write(out.Bytes()[:out.Len()-1]) // the client sees that it is missing
}
