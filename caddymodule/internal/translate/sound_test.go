package translate

import (
	"strings"
	"testing"
)

func TestAnInitializeIsSoundIfNothingInItCanBeRefused(t *testing.T) {
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
		`"capabilities":{"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"experimental":{"x":{"y":1}},"extensions":{}},` +
		`"clientInfo":{"name":"c","title":"C","version":"1"}}}`
	if !Sound(parse(t, initialize)) {
		t.Error("what clients say is doubted")
	}
	for part, other := range map[string]string{
		`2025-06-18`:         `1999-01-01`,
		`"2025-06-18"`:       `1`,
		`,"version":"1"`:     ``,
		`"name":"c"`:         `"name":null`,
		`{"tools":{}}`:       `5`,
		`"listChanged":true`: `"listChanged":"yes"`,
		`"extensions":{}`:    `"extensions":[]`,
		`"url":{}`:           `"own":{}`,
		`{"y":1}`:            `1`,
		`"title":"C"`:        `"icons":[{"src":1}]`,
	} {
		text := strings.Replace(initialize, part, other, 1)
		if text == initialize || Sound(parse(t, text)) {
			t.Errorf("not doubted: %s", text)
		}
	}
	for _, params := range []string{``, `,"params":{}`, `,"params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"c","version":"1"}}`, `,"params":{"protocolVersion":"2025-11-25","capabilities":{}}`} {
		if Sound(parse(t, `{"jsonrpc":"2.0","id":1,"method":"initialize"`+params+`}`)) {
			t.Errorf("not doubted: %s", params)
		}
	}
}
