package integration_test

import (
	"net/http"
	"strings"
)

// The corpus of TestSmuggling. Long s (ſ), the Kelvin sign and other letters that only
// look right are written as escapes of Go, what is between backquotes as it is sent.
const (
	longS  = "\u017f"
	kelvin = "\u212a"
	bom    = "\ufeff"
)

// envelope is a call of echo with further members in front of those it has.
func envelope(further string) string {
	return `{` + further + `"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{<meta>}}}`
}

// inParams is a call of echo with further members of params behind those it has.
func inParams(further string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{<meta>}` + further + `}}`
}

// inMeta is a call of echo with these members of _meta.
func inMeta(members string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{` + members + `}}}`
}

// smuggledNames say one method, tool or parameter to a strict reader and another to one
// that folds case, undoes escapes or takes the last of two (GHSA-4gph-2hhr-5mwg,
// CVE-2026-27896).
func smuggledNames() (rows []smuggled) {
	const invalid, params, syntax = -32600, -32602, -32700
	for name, row := range map[string]struct {
		sent string
		code int
	}{
		"Name beside name":           {inParams(`,"Name":"die"`), invalid},
		"NAME in front of name":      {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"die","name":"echo","_meta":{<meta>}}}`, invalid},
		"Name alone":                 {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"die","_meta":{<meta>}}}`, invalid},
		"escaped name":               {inParams(`,"na\u006de":"die"`), syntax},
		"escaped name alone":         {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"na\u006de":"echo","_meta":{<meta>}}}`, invalid},
		"name with long s":           {inParams(`,"argument` + longS + `":{"text":"smuggled"}`), invalid},
		"name with long s, escaped":  {inParams(`,"argument\u017f":{"text":"smuggled"}`), invalid},
		"Arguments beside arguments": {inParams(`,"Arguments":{"text":"smuggled"}`), invalid},
		"Kelvin sign for k":          {inParams(`,"tas` + kelvin + `Id":"x"`), invalid},
		"Kelvin sign, escaped":       {inParams(`,"tas\u212aId":"x"`), invalid},
		"URI beside a name":          {inParams(`,"URI":"file:///etc/passwd"`), invalid},
		"Params beside params":       {envelope(`"Params":{"name":"die"},`), invalid},
		"params with long s":         {envelope(`"param` + longS + `":{"name":"die"},`), invalid},
		"escaped params":             {envelope(`"par\u0061ms":{"name":"die"},`), invalid},
		"Method beside method":       {envelope(`"Method":"tools/list",`), invalid},
		"escaped method":             {envelope(`"meth\u006fd":"tools/list",`), invalid},
		"ID beside id":               {envelope(`"ID":2,`), invalid},
		"escaped id":                 {envelope(`"\u0069d":2,`), invalid},
		"Result beside a method":     {envelope(`"Result":{},`), invalid},
		"JSONRPC beside jsonrpc":     {envelope(`"JSONRPC":"1.0",`), invalid},
		"_Meta beside _meta":         {inParams(`,"_Meta":{"io.github.snapgate/identity":{"subject":"mallory"}}`), invalid},
		"_META beside _meta":         {inParams(`,"_META":{}`), invalid},
		"escaped _meta":              {inParams(`,"_m\u0065ta":{"progressToken":1}`), syntax},
		"ProgressToken in _meta":     {inMeta(`<meta>,"ProgressToken":1`), invalid},
		"escaped token in _meta":     {inMeta(`<meta>,"progre\u0073sToken":1`), invalid},
		"token with long s in _meta": {inMeta(`<meta>,"progre` + longS + `sToken":1`), invalid},
		"version in capitals":        {inMeta(`<meta>,"io.modelcontextprotocol/PROTOCOLVERSION":"2025-11-25"`), invalid},

		"two methods":                  {envelope(`"method":"tools/list",`), syntax},
		"two params":                   {envelope(`"params":{"name":"die"},`), syntax},
		"two ids":                      {envelope(`"id":2,`), syntax},
		"two names":                    {inParams(`,"name":"die"`), syntax},
		"two arguments":                {inParams(`,"arguments":{"text":"smuggled"}`), syntax},
		"two _meta":                    {inParams(`,"_meta":{}`), syntax},
		"two tokens in _meta":          {inMeta(`<meta>,"progressToken":1,"progressToken":2`), syntax},
		"two names, one of them coded": {inParams(`,"x":{"a":1,"\u0061":2}`), syntax},
		"two members far down":         {inParams(`,"x":[[{"y":{"a":1,"a":1}}]]`), syntax},
		"result beside method":         {envelope(`"result":{},`), invalid},
		"error beside method":          {envelope(`"error":{"code":1,"message":"m"},`), invalid},
		"method that is no string":     {`{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"die","_meta":{<meta>}}}`, invalid},
		"params that are a list":       {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["die"]}`, invalid},
		"_meta that is a list":         {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":[]}}`, invalid},
		"name that is no string":       {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["die"],"_meta":{<meta>}}}`, params},
		"no name":                      {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{<meta>}}}`, params},
		"id that is an object":         {`{"jsonrpc":"2.0","id":{"a":1},"method":"tools/call","params":{"name":"echo","_meta":{<meta>}}}`, invalid},
		"id that is null":              {`{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo","_meta":{<meta>}}}`, invalid},
		"jsonrpc of another version":   {`{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{<meta>}}}`, invalid},
	} {
		rows = append(rows, smuggled{name: name, sent: row.sent, status: http.StatusBadRequest, code: row.code})
	}
	// What the child would read is refused by what it says there.
	const call, end = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`, `","_meta":{<meta>}}}`
	for name, tool := range map[string]struct{ text, header string }{
		"denied tool": {`die`, `die`}, "denied tool, escaped": {`d\u0069e`, `die`}, "denied tool in capitals": {`DIE`, `DIE`},
		"denied tool with a dotless i": {`d` + "\uff49" + `e`, "=?base64?ZO+9iWU=?="}, "tool of a scope that is not granted": {`env`, `env`},
	} {
		rows = append(rows, smuggled{name: name, sent: call + tool.text + end, tool: tool.header, status: http.StatusForbidden, code: invalid})
	}
	const mismatch = -32020
	return append(rows,
		smuggled{name: "header names another tool", sent: call + `die` + end, status: http.StatusBadRequest, code: mismatch, only: modernVersion},
		smuggled{name: "header names another method", sent: call + `die` + end, method: "tools/list", tool: "die", status: http.StatusBadRequest, code: mismatch, only: modernVersion},
		smuggled{name: "two headers name a tool", sent: envelope(""), header: http.Header{"Mcp-Name": {"echo", "die"}}, status: http.StatusBadRequest, code: invalid, only: modernVersion},
	)
}

// smuggledBytes are no message, or more than one.
func smuggledBytes() (rows []smuggled) {
	const invalid, syntax = -32600, -32700
	const die = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"die","_meta":{<meta>}}}`
	nested := func(levels int) string {
		return inParams(`,"x":` + strings.Repeat(`[`, levels) + strings.Repeat(`]`, levels))
	}
	for name, row := range map[string]struct {
		sent string
		code int
	}{
		"batch":                           {`[` + envelope("") + `,` + die + `]`, invalid},
		"batch of one":                    {`[` + die + `]`, invalid},
		"empty batch":                     {`[]`, invalid},
		"second message behind":           {envelope("") + die, syntax},
		"second message on the next line": {envelope("") + "\n" + die, syntax},
		"second message after a return":   {envelope("") + "\r" + die, syntax},
		"second message after a NUL":      {envelope("") + "\x00" + die, syntax},
		"newline in a string":             {inParams(",\"x\":\"\n" + strings.ReplaceAll(die, `"`, `'`) + "\n\""), syntax},
		"return in a string":              {inParams(",\"x\":\"\r\""), syntax},
		"newline in a name":               {inParams(",\"x\n\":1"), syntax},
		"control character in a string":   {inParams(",\"x\":\"\x01\""), syntax},
		"form feed between values":        {inParams(",\f\"x\":1"), syntax},
		"no-break space between values":   {inParams(",\u00a0\"x\":1"), syntax},
		"line separator between values":   {inParams(",\u2028\"x\":1"), syntax},
		"byte order mark":                 {bom + envelope(""), syntax},
		"byte order mark behind":          {envelope("") + bom, syntax},
		"invalid UTF-8 in a string":       {inParams(",\"x\":\"\xff\""), syntax},
		"invalid UTF-8 in a name":         {inParams(",\"x\xc0\xaf\":1"), syntax},
		"overlong quote":                  {inParams(",\"x\":\"\xc0\xa2\""), syntax},
		"surrogate in UTF-8":              {inParams(",\"x\":\"\xed\xa0\x80\""), syntax},
		"UTF-16":                          {"\xff\xfe{\x00}\x00", syntax},
		"comment":                         {envelope(`/* "method":"tools/list", */`), syntax},
		"comma behind the last":           {inParams(`,`), syntax},
		"single quotes":                   {strings.ReplaceAll(envelope(""), `"`, `'`), syntax},
		"NaN":                             {inParams(`,"x":NaN`), syntax},
		"leading zero":                    {inParams(`,"x":01`), syntax},
		"hexadecimal":                     {inParams(`,"x":0x1`), syntax},
		"escape that is none":             {inParams(`,"x":"\x41"`), syntax},
		"half an escape":                  {inParams(`,"x":"\u00"`), syntax},
		"it ends too early":               {strings.TrimSuffix(envelope(""), "}"), syntax},
		"nothing":                         {``, syntax},
		"a string":                        {`"tools/call"`, invalid},
		"null":                            {`null`, invalid},
		"129 levels":                      {nested(127), invalid},
		"100,000 levels":                  {nested(100_000), invalid},
		"levels that do not end":          {inParams(`,"x":` + strings.Repeat(`{"a":`, 10_000)), invalid},
	} {
		rows = append(rows, smuggled{name: name, sent: row.sent, status: http.StatusBadRequest, code: row.code})
	}
	return rows
}
