package integration_test

import (
	"net/http"
	"strings"
)

// Rows of TestSmuggling that the child reads, and in which bytes.

// arrived is what the child reads of [envelope], [inParams] and [inMeta]: the same but for
// the gateway's own edits.
func arrived(sent string) string {
	sent = strings.Replace(sent, `"id":1`, `"id":<id>`, 1)
	return strings.Replace(sent, `"_meta":{`, `"_meta":{<stamp>,`, 1)
}

// smuggledIdentity claims to be somebody else. All else is carried (CVE-2026-30851,
// CVE-2026-52845).
func smuggledIdentity() (rows []smuggled) {
	carry := func(name, sent, reads string) {
		rows = append(rows, smuggled{name: "identity: " + name, sent: sent, status: http.StatusOK, reads: reads})
	}
	clean := arrived(inMeta(`<meta>`))
	for name, key := range forgeries {
		claim := key + `{"subject":"` + forged + `"}`
		carry(name+", first", inMeta(claim+` , <meta>`), clean)
		carry(name+", last", inMeta(`<meta>, `+claim+` `), arrived(inMeta(`<meta> `)))
		carry(name+", among others", inMeta(`"a":1,`+claim+`,<meta>`), arrived(inMeta(`"a":1,<meta>`)))
		carry(name+", in a _meta further down", inParams(`,"x":[{"_meta":{`+claim+`,"a":1}}]`), arrived(inParams(`,"x":[{"_meta":{"a":1}}]`)))
		carry(name+", in a _META further down", inParams(`,"x":{"_META":{`+claim+`}}`), arrived(inParams(`,"x":{"_META":{}}`)))
		carry(name+", in an escaped _meta further down", inParams(`,"x":{"_m\u0065ta":{`+claim+`}}`), arrived(inParams(`,"x":{"_m\u0065ta":{}}`)))
		rows = append(rows, smuggled{
			name: "identity: " + name + ", in a notification", method: "notifications/x", status: http.StatusAccepted,
			sent:  `{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{` + claim + `}}}`,
			reads: `{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{<stamp>}}}`,
		})
	}
	// A name that is not ours for any reader, and what is a tool's own affair.
	for name, further := range map[string]string{
		"_meta in arguments":   `,"task":{},"arguments":{"_meta":{"io.github.snapgate/identity":{"subject":"of the tool"}}}`,
		"Name in arguments":    `,"arguments":{"Name":"die","na\u006de":"die","Params":{},"_Meta":1}`,
		"Name in what is else": `,"x":{"Name":"die","method":"tools/call"},"arguments":{}`,
	} {
		sent := strings.Replace(inParams(further), `"arguments":{},`, ``, 1)
		carry(name, sent, arrived(sent))
	}
	for name, key := range map[string]string{
		"longer name": "io.github.snapgate2/identity", "name of another": "com.example/io.github.snapgate/identity",
		"full width": "io.github.snapgate\uff0fidentity", "no prefix": "identity",
	} {
		sent := inMeta(`"` + key + `":1,<meta>`)
		carry(name, sent, arrived(sent))
	}
	carry("unlike a pair, a lone surrogate is kept", inMeta(`"io.github.\ud800snapgate/identity":1,<meta>`), arrived(inMeta(`"io.github.\ud800snapgate/identity":1,<meta>`)))
	// Headers are nothing to the child, whatever they are called.
	claim := []string{forged}
	rows = append(rows, smuggled{name: "identity: in headers", sent: envelope(""), status: http.StatusOK, reads: arrived(envelope("")), header: http.Header{
		"X-Snapgate-User": claim, "X-Snapgate-Subject": claim, "x-snapgate-subject": claim, "X_Snapgate_Subject": claim, "X-Snapgate-Issuer": claim,
		"Snapgate-Subject": claim, "X-Forwarded-User": claim, "Remote-User": claim, "X-Auth-Request-User": claim, "Cookie": {"user=" + forged},
	}})
	return rows
}

// carried is all that is none of the gateway's business.
func carried() (rows []smuggled) {
	carry := func(name, sent string) {
		rows = append(rows, smuggled{name: "carried: " + name, sent: sent, status: http.StatusOK, reads: arrived(sent)})
	}
	for name, value := range map[string]string{
		"2^53+1": `9007199254740993`, "2^63": `9223372036854775808`, "2^64-1 below zero": `-18446744073709551615`, "more than any integer": strings.Repeat("9", 400),
		"more than any float": `1e400`, "less than any float": `-1E-400`, "1.0": `1.0`, "1": `1`, "-0": `-0`, "-0.0": `-0.0`, "1E+2": `1E+2`, "many digits": `0.1000000000000000055511151231257827021181583404541015625`,
		"escapes": `"\u0041\/\u00e9\ud83d\ude00\b\u0000"`, "lone surrogates": `"\ud800 \udc00\ud800"`, "newline as an escape": `"a\n{\"jsonrpc\":\"2.0\"}\r\u000a"`,
		"unicode": "\"é\u0301\u2028\u2029\ufeff\U0001f600\"", "delete": "\"\x7f\"", "white space": "[ 1 ,\t2 ]", "an empty name": `{"":{"":[]}}`,
		"names of the envelope": `{"jsonrpc":"1.0","ID":0,"id":0,"Method":"die","params":[],"_meta":1}`, "__proto__": `{"__proto__":{"name":"die"},"constructor":1}`,
		"126 levels": strings.Repeat(`[`, 126) + strings.Repeat(`]`, 126),
	} {
		carry(name+" as a member of params", inParams(`,"unknown":`+value))
		if !strings.HasPrefix(value, "[[") {
			carry(name+" as a member of the envelope", envelope(`"unknown":`+value+`,`))
			carry(name+" in _meta", inMeta(`<meta>,"com.example/x":`+value))
			carry(name+" in arguments", strings.Replace(envelope(""), `"arguments":{}`, `"arguments":{"z":`+value+`,"a":`+value+`}`, 1))
		}
	}
	for _, id := range []string{
		`9007199254740993`, `18446744073709551616`, `-1`, `0`, `1.5`, `1.0`, `1e400`, `""`, `"1"`, `" "`, `"\u0031"`, "\"é\U0001f600\"", `"\ud800"`, `"` + strings.Repeat("x", 4096) + `"`,
	} {
		rows = append(rows, smuggled{name: "carried: id " + id[:min(len(id), 20)], sent: strings.Replace(envelope(""), `"id":1`, `"id":`+id, 1), status: http.StatusOK, reads: arrived(envelope(""))})
	}
	for _, token := range []string{`1`, `9223372036854775808`, `"t"`, `"\u0074"`} {
		rows = append(rows, smuggled{
			name: "carried: token " + token, sent: inMeta(`<meta> , "progressToken" : ` + token),
			status: http.StatusOK, reads: arrived(inMeta(`<meta> , "progressToken" : <id>`)),
		})
	}
	carry("known keys of others", inMeta(`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=b","baggage":"c=d",<meta>`))
	carry("capabilities of extensions", strings.Replace(inMeta(`<meta>`), `/clientCapabilities":{}`, `/clientCapabilities":{"extensions":{"com.example/x":{"v":9223372036854775808}},"unknown":1.0}`, 1))
	return append(rows, carriedKinds()...)
}

// carriedKinds are messages other than calls of tools.
func carriedKinds() []smuggled {
	const unknown = `{"jsonrpc":"2.0","id":1,"method":"com.example/unknown","params":{"cursor":1e400,"_meta":{<meta>}}}`
	return []smuggled{
		{name: "carried: unknown method", only: legacyVersion, sent: unknown, status: http.StatusOK, code: -32601, reads: arrived(unknown)},
		{name: "carried: unknown method, modern", only: modernVersion, method: "com.example/unknown", sent: unknown, status: http.StatusNotFound, code: -32601, reads: arrived(unknown)},
		{name: "carried: request without params", only: legacyVersion, status: http.StatusOK, code: -32601,
			sent: `{"id":1,"method":"x","jsonrpc":"2.0"}`, reads: `{"id":<id>,"method":"x","jsonrpc":"2.0","params":{"_meta":{<stamp>}}}`},
		{name: "carried: params that are null", only: legacyVersion, status: http.StatusOK, code: -32601,
			sent: `{"jsonrpc":"2.0","params":null,"id":1,"method":"x"}`, reads: `{"jsonrpc":"2.0","params":{"_meta":{<stamp>}},"id":<id>,"method":"x"}`},
		{name: "carried: _meta that is null", only: legacyVersion, status: http.StatusOK, code: -32601,
			sent: `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1,"_meta":null}}`, reads: `{"jsonrpc":"2.0","id":<id>,"method":"x","params":{"a":1,"_meta":{<stamp>}}}`},
		{name: "carried: line breaks between values", status: http.StatusOK,
			sent: strings.ReplaceAll(envelope("\r\n"), `,`, ",\n") + "\n", reads: arrived(strings.ReplaceAll(envelope("  "), `,`, ", "))},
		{name: "carried: unknown notification", method: "notifications/x", status: http.StatusAccepted,
			sent:  `{"jsonrpc":"2.0","extra":[9223372036854775808],"method":"notifications/x","params":{"b":1.0,"a":"\ud800"}}`,
			reads: `{"jsonrpc":"2.0","extra":[9223372036854775808],"method":"notifications/x","params":{"_meta":{<stamp>},"b":1.0,"a":"\ud800"}}`},
		{name: "carried: notification without params", method: "notifications/x", status: http.StatusAccepted,
			sent: `{"jsonrpc":"2.0","method":"notifications/x"}`, reads: `{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{<stamp>}}}`},
		// These say something about calls that there are not.
		{name: "cancellation of nothing", method: "notifications/cancelled", status: http.StatusAccepted,
			sent: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		{name: "progress of nothing", only: modernVersion, method: "notifications/progress", status: http.StatusAccepted,
			sent: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`},
		{name: "carried: progress of what the child asked", only: legacyVersion, status: http.StatusAccepted, // the token is the child's own
			sent:  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`,
			reads: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"_meta":{<stamp>},"progressToken":1,"progress":1}}`},
		{name: "response to nothing", only: legacyVersion, status: http.StatusAccepted, sent: `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{name: "error in response to nothing", only: legacyVersion, status: http.StatusAccepted, sent: `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}`},
	}
}
