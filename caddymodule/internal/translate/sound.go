package translate

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// object is any JSON object.
type object = map[string]json.RawMessage

// initializing are the params of initialize (MCP 2025-11-25, schema, InitializeRequestParams),
// as far as clients commonly use them.
type initializing struct {
	Meta            object `json:"_meta"`
	ProtocolVersion string `json:"protocolVersion"`
	Capabilities    *struct {
		Experimental map[string]object `json:"experimental"`
		Extensions   map[string]object `json:"extensions"`
		Roots        struct {
			ListChanged bool `json:"listChanged"`
		} `json:"roots"`
		Sampling struct {
			Context object `json:"context"`
			Tools   object `json:"tools"`
		} `json:"sampling"`
		Elicitation struct {
			Form object `json:"form"`
			URL  object `json:"url"`
		} `json:"elicitation"`
	} `json:"capabilities"`
	ClientInfo *struct {
		Name       *string `json:"name"`
		Version    *string `json:"version"`
		Title      string  `json:"title"`
		WebsiteURL string  `json:"websiteUrl"`
	} `json:"clientInfo"`
}

// Sound says whether an initialize is beyond doubt one that the protocol knows: a server that
// refuses it has something against initialize, and not against what stands in it. One that
// says more than is known here is doubted.
func Sound(initialize *message.Message) bool {
	raw := initialize.Params.Raw()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var said initializing
	return decoder.Decode(&said) == nil && !bytes.Contains(raw, []byte("null")) && // which stands for any type
		slices.Contains(protocol.LegacyVersions, said.ProtocolVersion) &&
		said.Capabilities != nil && said.ClientInfo != nil && said.ClientInfo.Name != nil && said.ClientInfo.Version != nil
}
