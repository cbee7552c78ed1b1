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

func TestMessagesAreCarriedAsTheBytesTheyWere(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	g := start(t, standin("-record", folder))
	for _, p := range []*peer{g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))} {
		call := strings.Replace(p.toolCall(1, "echo", object{"odd": 1}), `{"odd":1}`, odd, 1)
		call = strings.Replace(call, `"name":"echo"`, `"unknown":`+odd+`,"name":"echo"`, 1)
		if _, err := resultText(p.post(call)); err != nil {
			t.Error(err)
		}
		result := `{"unknown":` + odd + `,"content":[{"type":"text","text":"x"}],"structuredContent":` + odd + `}`
		a := p.post(p.toolCall("my id", "write", object{"text": `{"extra":` + odd + `,"jsonrpc":"2.0","id":ID,"result":` + result + `}`}))
		if want := `{"extra":` + odd + `,"jsonrpc":"2.0","id":"my id","result":` + result + `}`; a.body != want {
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
	g := start(t, standin())
	for _, p := range []*peer{g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))} {
		text := strings.Repeat("0123456789abcdef", 4<<20/16-len(p.toolCall(1, "echo", object{"text": ""}))/16-1)
		text += strings.Repeat("x", 4<<20-len(p.toolCall(1, "echo", object{"text": text})))
		if got := p.call(1, "echo", object{"text": text}); got != text {
			t.Errorf("%d of %d bytes came back", len(got), len(text))
		}
		if a := p.post(p.toolCall(1, "echo", object{"text": text + "x"})); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("a byte more: %d %s", a.status, a.body)
		}
	}
}
