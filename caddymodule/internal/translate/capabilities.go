package translate

import (
	"encoding/json"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// Capabilities are those of a client that let a server ask it something. A legacy server
// learns them once, so that a process can serve only clients with the same ones.
type Capabilities struct {
	Roots, Sampling, SamplingTools, ElicitForm, ElicitURL bool
}

// ReadCapabilities reads the value of _meta's clientCapabilities. What is malformed counts
// as absent.
func ReadCapabilities(raw []byte) Capabilities {
	var declared struct {
		Roots       *struct{}                   `json:"roots"`
		Sampling    map[string]json.RawMessage  `json:"sampling"`
		Elicitation *map[string]json.RawMessage `json:"elicitation"`
	}
	if json.Unmarshal(raw, &declared) != nil {
		return Capabilities{}
	}
	c := Capabilities{Roots: declared.Roots != nil, Sampling: declared.Sampling != nil}
	_, c.SamplingTools = declared.Sampling["tools"]
	if e := declared.Elicitation; e != nil {
		_, c.ElicitForm = (*e)["form"]
		_, c.ElicitURL = (*e)["url"]
		if !c.ElicitForm && !c.ElicitURL {
			c.ElicitForm = true // an empty object means forms
		}
	}
	return c
}

// Any says whether the server may ask anything at all.
func (c Capabilities) Any() bool { return c != Capabilities{} }

// Key is equal for equal capabilities.
func (c Capabilities) Key() string {
	var parts []string
	for _, p := range []struct {
		name string
		has  bool
	}{{"roots", c.Roots}, {"sampling", c.Sampling}, {"sampling.tools", c.SamplingTools}, {"elicitation.form", c.ElicitForm}, {"elicitation.url", c.ElicitURL}} {
		if p.has {
			parts = append(parts, p.name)
		}
	}
	return strings.Join(parts, " ")
}

// Allows says whether the server may send a request to the client.
func (c Capabilities) Allows(m *message.Message) bool {
	switch m.Method {
	case methodRoots:
		return c.Roots
	case methodSampling: // with tools only for those who take them (MCP 2026-07-28, Sampling, Tools)
		withTools := m.Params.Get("tools") != nil || m.Params.Get("toolChoice") != nil
		return c.Sampling && (c.SamplingTools || !withTools)
	case methodElicit:
		if mode, _ := m.Params.String("mode"); mode == "url" {
			return c.ElicitURL
		}
		return c.ElicitForm
	}
	return false
}

// Requests of a server to its client.
const (
	methodRoots    = "roots/list"
	methodSampling = "sampling/createMessage"
	methodElicit   = "elicitation/create"
)

// Initialize is the gateway's request to a legacy server, in the name of all clients with
// these capabilities. They cannot tell it that their roots changed.
func (c Capabilities) Initialize(protocolVersion, client, version string) []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "id": 0, "method": message.MethodInitialize, "params": map[string]any{
		"protocolVersion": protocolVersion,
		"capabilities":    c.Declared(),
		"clientInfo":      map[string]string{"name": client, "version": version},
	}})
}

// Declared is how a client declares them.
func (c Capabilities) Declared() map[string]any {
	capabilities := map[string]any{}
	if c.Roots {
		capabilities["roots"] = struct{}{}
	}
	if c.Sampling {
		sampling := map[string]any{}
		if c.SamplingTools {
			sampling["tools"] = struct{}{}
		}
		capabilities["sampling"] = sampling
	}
	if c.ElicitForm || c.ElicitURL {
		elicitation := map[string]any{}
		if c.ElicitForm {
			elicitation["form"] = struct{}{}
		}
		if c.ElicitURL {
			elicitation["url"] = struct{}{}
		}
		capabilities["elicitation"] = elicitation
	}
	return capabilities
}
