package translate

import (
	"encoding/json"
	"fmt"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/identity"
)

// RequiredURLs are the elicitations that a legacy server's error asks for before the call can
// be made (MCP 2025-11-25, Elicitation); nil if it asks for none, or in another way.
func RequiredURLs(m *message.Message) []json.RawMessage {
	var data struct {
		Elicitations []json.RawMessage `json:"elicitations"`
	}
	if string(m.Error.Get("code")) != urlsRequired || json.Unmarshal(m.Error.Get("data"), &data) != nil {
		return nil
	}
	for _, raw := range data.Elicitations {
		var elicitation struct {
			Mode string `json:"mode"`
			URL  string `json:"url"`
		}
		if json.Unmarshal(raw, &elicitation) != nil || elicitation.Mode != "url" || elicitation.URL == "" {
			return nil
		}
	}
	if len(data.Elicitations) == 0 {
		return nil
	}
	return data.Elicitations
}

// URLsRequired is the answer to the call with the id that asks the client for them.
func URLsRequired(id []byte, elicitations []json.RawMessage, state string) ([]byte, error) {
	requests := map[string]any{}
	for n, params := range elicitations {
		requests[fmt.Sprint(inputKey, n+1)] = map[string]any{"method": methodElicit, "params": params}
	}
	m, err := message.Parse(inputRequired(id, requests, state), 0)
	if err != nil {
		return nil, fmt.Errorf("the elicitations of error %s: %w", urlsRequired, err)
	}
	return m.Edit().DropMeta(identity.MetaPrefix).Bytes(), nil
}

// Declines says whether a retry brings a response that is no consent.
func Declines(retry *message.Message) bool {
	var responses map[string]struct{ Action string }
	if json.Unmarshal(retry.Params.Get("inputResponses"), &responses) != nil {
		return false
	}
	for _, response := range responses {
		if response.Action == "decline" || response.Action == "cancel" {
			return true
		}
	}
	return false
}
