package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A catalog is what the server lists, in two pages each, written as no library would write
// it: what comes through must be these bytes.
var catalog = map[string][2]string{
	"tools/list": {
		`"tools" : [ {"name":"pid" , "inputSchema":{"type":"object","maximum":1e400}} ,{"inputSchema":{"type":"object","properties":{"text":{"type":"string","x-mcp-header":"Text"}}},"name":"ec\u0068o"},  {"name":"die","inputSchema":{"type":"object"},"x":[{"name":"pid"}]} ] , "nextCursor" : "2"`,
		`"tools":[{"name":"die","inputSchema":{"type":"object"}},{"name":"env","title":"\u00e9","big":12345678901234567890,"inputSchema":{"type":"object"}}]`,
	},
	"prompts/list": {
		`"prompts":[{"name":"debug"},{"name":"debug"}],"nextCursor":"2"`,
		`"prompts":[{"name":"greet","arguments":[{"name":"debug"}]},{"name":"review","b":2,"a":1}]`,
	},
	"resources/list": {
		`"resources":[{"uri":"file:///srv/public/a","name":"a"},{"uri":"file:///srv/secret/b","name":"b"}],"nextCursor":"2"`,
		`"resources":[{"uri":"file:///srv/public/../secret/c","name":"c"},{"uri":"file:\/\/\/srv/keys/d","name":"d"},{"uri":"file:///srv/public/e","name":"e"}]`,
	},
	"resources/templates/list": {
		`"resourceTemplates":[{"uriTemplate":"file:///srv/secret/{name}","name":"s"}],"nextCursor":"2"`,
		`"resourceTemplates":[{"uriTemplate":"file:///srv/public/{name}","name":"p"},{"uriTemplate":"file:///srv/keys/{name}","name":"k"}]`,
	},
}

// catalogCapabilities are those of a server that has one, beside the others.
const catalogCapabilities = `,"prompts":{},"resources":{"subscribe":true},"completions":{}`

// fromCatalog answers what is about the catalog, after a report of progress if that is asked for.
func (s *server) fromCatalog(m message) bool {
	var params struct {
		Cursor string `json:"cursor"`
		URI    string `json:"uri"`
		Name   string `json:"name"`
		Meta   struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	}
	if m.Params != nil && json.Unmarshal(m.Params, &params) != nil {
		return false
	}
	if params.Meta.ProgressToken != nil {
		s.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, params.Meta.ProgressToken))
	}
	const complete = `"resultType":"complete",`
	pages, listed := catalog[m.Method]
	switch {
	case listed:
		page := pages[0]
		if params.Cursor != "" {
			page = pages[1]
		}
		s.result(m.ID, `{`+complete+`"ttlMs":60000,"cacheScope":"public","vendor":{"n":0.10},`+page+`}`)
	case m.Method == "resources/read":
		s.result(m.ID, fmt.Sprintf(`{`+complete+`"ttlMs":0,"cacheScope":"public","contents":[{"uri":%q,"text":"read"}]}`, params.URI))
	case m.Method == "prompts/get":
		s.result(m.ID, fmt.Sprintf(`{`+complete+`"description":%q,"messages":[]}`, params.Name))
	case m.Method == "completion/complete":
		s.result(m.ID, `{`+complete+`"completion":{"values":["secret"]}}`)
	case strings.HasSuffix(m.Method, "scribe"):
		s.result(m.ID, `{}`)
	default:
		return false
	}
	return true
}
