package integration_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// odd is JSON that a decoder into a model would change: white space, order, numbers that
// no float holds, members nobody knows, a lone surrogate.
const odd = `{ "z":1.0e+400,"a" :[12345678901234567890123, -0.0],"\u00e9":"\ud800","":null , "Uri":{"_META":1}}`

// bothEras are clients of both eras at a server of one.
func bothEras(t *testing.T, era string, flags ...string) map[string]*peer {
	t.Helper()
	g := start(t, standin(append(flags, "-era", era)...))
	return map[string]*peer{"legacy": g.legacy(t, g.token(t, "alice")), "modern": g.modern(t, g.token(t, "alice"))}
}

func TestMessagesAreCarriedAsTheBytesTheyWere(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			carriesBytes(t, era)
		})
	}
}

// carriesBytes holds that a server of the era reads what was written, and the other way round.
func carriesBytes(t *testing.T, era string) {
	folder := t.TempDir()
	for client, p := range bothEras(t, era, "-record", folder) {
		call := strings.Replace(p.toolCall(1, "echo", object{"odd": 1}), `{"odd":1}`, odd, 1)
		call = strings.Replace(call, `"name":"echo"`, `"unknown":`+odd+`,"name":"echo"`, 1)
		if _, err := resultText(p.post(call)); err != nil {
			t.Error(err)
		}
		result := `{"unknown":` + odd + `,"content":[{"type":"text","text":"x"}],"structuredContent":` + odd + `}`
		a := p.post(p.toolCall("my id", "write", object{"text": `{"extra":` + odd + `,"jsonrpc":"2.0","id":ID,"result":` + result + `}`}))
		want := `{"extra":` + odd + `,"jsonrpc":"2.0","id":"my id","result":` + result + `}`
		if client == "modern" && era == "legacy" { // in which a modern client must find more
			want = strings.Replace(want, `"result":{`, `"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"standin","version":"1"}},`, 1)
		}
		if a.last() != want {
			t.Errorf("the client reads\n%s\nwant\n%s", a.body, want)
		}
	}
	seen := 0
	for _, line := range recorded(t, folder) {
		if bytes.Contains(line, []byte(`"arguments":`+odd)) && bytes.Contains(line, []byte(`"unknown":`+odd)) {
			seen++
		}
	}
	if seen != 2 {
		t.Errorf("%d of 2 calls reached the child as they were", seen)
	}
}

// White space that JSON allows may hold newlines, and stdio has one message a line.
func TestNewlinesInARequestMakeNoSecondMessage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	g := start(t, standin("-record", folder))
	p := g.legacy(t, g.token(t, "alice"))
	a := p.post("{\"jsonrpc\":\"2.0\",\r\n\"id\":1,\n\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\n\"arguments\":{\"text\":\n\"a\\nb\"}}}\n")
	if text, err := resultText(a); err != nil || text != "a\nb" {
		t.Errorf("%q %v", text, err)
	}
	if n := len(recorded(t, folder)); n != 3 { // initialize, initialized, the call
		t.Errorf("the child read %d lines", n)
	}
}

// The default limit of a body is 4 MiB, to the byte.
func TestLargeMessagesPassWhole(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			for _, p := range bothEras(t, era) {
				passesWhole(t, p)
			}
		})
	}
}

// passesWhole holds that a message of just so many bytes comes back, and one of more is refused.
func passesWhole(t *testing.T, p *peer) {
	t.Helper()
	text := strings.Repeat("0123456789abcdef", 4<<20/16-len(p.toolCall(1, "echo", object{"text": ""}))/16-1)
	text += strings.Repeat("x", 4<<20-len(p.toolCall(1, "echo", object{"text": text})))
	if got := p.call(1, "echo", object{"text": text}); got != text {
		t.Errorf("%d of %d bytes came back", len(got), len(text))
	}
	if a := p.post(p.toolCall(1, "echo", object{"text": text + "x"})); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte more: %d %s", a.status, a.body)
	}
}

// A server may write lines of 16 MiB, to the byte. One that writes more is ended, and its calls are
// told.
func TestLargeAnswersPassWhole(t *testing.T) {
	t.Parallel()
	const most = 16 << 20
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			for client, p := range bothEras(t, era) {
				text, err := resultText(p.post(p.toolCall(1, "fill", object{"count": most})))
				if fill := strings.Trim(text, "x"); err != nil || fill != "" || len(text) < most-1000 || len(text) > most {
					t.Fatalf("%s: %d bytes came, %.100q, %v", client, len(text), fill, err)
				}
				if a := p.post(p.toolCall(2, "fill", object{"count": most + 1})); a.status != http.StatusOK || a.code() != -32603 {
					t.Errorf("%s: a byte more: %d %.200s", client, a.status, a.body)
				}
				a := p.post(p.toolCall(3, "echo", object{"text": "on"}))
				if client == "legacy" && era == "legacy" { // a session goes with its own process
					if a.status != http.StatusNotFound || a.code() != -32001 {
						t.Errorf("the session: %d %s", a.status, a.body)
					}
				} else if got, err := resultText(a); err != nil || got != "on" {
					t.Errorf("%s: after it %q %v", client, got, err)
				}
			}
		})
	}
}
