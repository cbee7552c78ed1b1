package bridge

import (
	"net/http"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// needURLs turns a legacy server's error that the user must open URLs first (MCP 2025-11-25,
// Elicitation) into input_required. The call has ended with it: the retry makes it anew.
func (b *Bridge) needURLs(call *admission.Call, e backend.Event) (backend.Event, error) {
	urls := translate.RequiredURLs(e.Message)
	if urls == nil {
		return e, nil
	}
	id := call.Message.ID
	if !translate.ReadCapabilities(call.Message.Meta.Get(message.MetaClientCapabilities)).ElicitURL {
		refusal := answer.New(http.StatusBadRequest, protocol.CodeMissingCapability, "The server needs the user to open a URL first")
		refusal.Data = map[string]any{"requiredCapabilities": translate.Capabilities{ElicitURL: true}.Declared()}
		e.Frame = refusal.Frame(id)
		var err error
		e.Message, err = message.Parse(e.Frame, 0)
		return e, err
	}
	state, err := b.issueState(call, nil)
	if err != nil {
		return e, err
	}
	frame, err := translate.URLsRequired(id, urls, state)
	return backend.Event{Frame: frame, Last: true}, err
}

// declined is the answer to a retry whose user will not open the URL. The server could only
// ask for it again.
func declined() *answer.Refusal {
	return answer.New(http.StatusOK, protocol.CodeInternal, "The server needs the user to open a URL first, and the user did not agree")
}
