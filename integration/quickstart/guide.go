package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"text/template"
)

// readiness is what a script has to know to connect.
type readiness struct {
	URL      string            `json:"url"`
	Issuer   string            `json:"issuer"`
	CAFile   string            `json:"ca_file"`
	Resource string            `json:"resource"`
	Tokens   map[string]string `json:"tokens"`
}

func (r readiness) writeJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}

var guide = template.Must(template.New("guide").Parse(`
Snapgate is ready.

  MCP endpoint          {{.URL}}
  Authorization server  {{.Issuer}}   (users alice and bob, no password)
  CA certificate        {{.CAFile}}
  Data, Caddyfile, log  {{.Data}}

Clients must trust the CA. Those that run on Node read NODE_EXTRA_CA_CERTS.

Claude Code (then type /mcp in a session, choose snapgate and log in)
  claude mcp add --transport http snapgate {{.URL}}
  NODE_EXTRA_CA_CERTS='{{.CAFile}}' claude

VS Code (start it so that it trusts the CA, then start the server "snapgate")
  code --add-mcp '{"name":"snapgate","type":"http","url":"{{.URL}}"}'
  NODE_EXTRA_CA_CERTS='{{.CAFile}}' code

For what follows: tokens of alice and of bob, good for 12 hours.
  ALICE={{index .Tokens "alice"}}
  BOB={{index .Tokens "bob"}}
  TOKEN=$ALICE

MCP Inspector (Node 22.19 or newer), in the browser (choose Streamable HTTP, enter the endpoint) or in the shell
  NODE_EXTRA_CA_CERTS='{{.CAFile}}' npx -y @modelcontextprotocol/inspector@latest
  NODE_EXTRA_CA_CERTS='{{.CAFile}}' npx -y @modelcontextprotocol/inspector@latest --cli {{.URL}} --transport http --header "Authorization: Bearer $TOKEN" --method tools/list

curl
{{- if .Snapshotd}}
  curl --cacert '{{.CAFile}}' {{.URL}} \
    -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: save_snapshot' \
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"save_snapshot","arguments":{"summary":"My first snapshot","context":"It came from curl."},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'

and, as alice or after TOKEN=$BOB, to see whose it is
  curl --cacert '{{.CAFile}}' {{.URL}} \
    -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: list_snapshots' \
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_snapshots","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
{{- else}}
  curl --cacert '{{.CAFile}}' {{.URL}} \
    -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}'
{{- end}}

Ctrl-C ends everything.
`))

func (r readiness) writeGuide(w io.Writer, opts *options) error {
	return guide.Execute(w, struct {
		readiness
		Data      string
		Snapshotd bool
	}{r, filepath.Clean(opts.data), opts.snapshotd})
}
