package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
)

// childVar says that this program is to be the echo server.
const childVar = "ECHO_SERVER"

// request is as much of a message as the echo server looks at.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Arguments struct {
			Text string `json:"text"`
		} `json:"arguments"`
	} `json:"params"`
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
		text, err := json.Marshal(r.Params.Arguments.Text)
		if err != nil {
			return
		}
		result = `{"content":[{"type":"text","text":` + string(text) + `}]}`
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", r.ID, result)
}

// toolCall is a call of the echo server; meta is the content of _meta.
func toolCall(id int, text, meta string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":%s},"_meta":{%s}}}`, id, quoted, meta)
}

// echoed is the text of an answer. The error says that it is another call's.
func echoed(raw []byte, id int) (string, error) {
	var r struct {
		ID     int `json:"id"`
		Result struct {
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return "", fmt.Errorf("%w in %.200s", err, raw)
	}
	if r.ID != id || len(r.Result.Content) != 1 {
		return "", fmt.Errorf("the answer to call %d is %.200s", id, raw)
	}
	return r.Result.Content[0].Text, nil
}

// rawStdio starts a server for each session and speaks to it directly.
func rawStdio() way {
	return way{"raw stdio", func() (func(int, string) (string, error), func(), error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVar+"=1")
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, nil, err
		}
		lines := bufio.NewReaderSize(out, 1<<20)
		call := func(id int, text string) (string, error) {
			if _, err := in.Write(append(toolCall(id, text, ""), '\n')); err != nil {
				return "", err
			}
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return "", err
			}
			return echoed(line, id)
		}
		return call, func() {
			in.Close()
			_ = cmd.Wait() // it ends with its input
		}, nil
	}}
}

// bare is an HTTP server that answers itself.
type bare struct {
	server *http.Server
	url    string
}

func startBare() *bare {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // no loopback
	}
	b := &bare{url: "http://" + l.Addr().String()}
	b.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var out bytes.Buffer
		answer(body, &out)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out.Bytes()) // the client sees that it is missing
	})}
	go func() { _ = b.server.Serve(l) }() // until stop
	return b
}

func (b *bare) stop() { _ = b.server.Close() }

func (b *bare) way() way {
	return way{"bare HTTP", func() (func(int, string) (string, error), func(), error) {
		c := newClient(b.url, nil, http.Header{})
		return func(id int, text string) (string, error) {
			raw, _, err := c.post(toolCall(id, text, ""))
			if err != nil {
				return "", err
			}
			return echoed(raw, id)
		}, c.close, nil
	}}
}
