package message

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// level tells which of the protocol's names apply in an object.
type level uint8

const (
	levelEnvelope level = iota
	levelParams
	levelMeta
	levelResult // _meta only: the rest is the server's own
	levelError
)

var protocolNames = [...][]string{
	levelEnvelope: {"jsonrpc", "id", "method", "params", "result", "error"},
	levelParams: {
		"_meta", "name", "arguments", "uri", "uriTemplate", "cursor", "taskId", "task",
		"requestId", "reason", "progressToken", "progress", "total", "message",
		"protocolVersion", "capabilities", "clientInfo", "level", "logger", "data",
		"ref", "argument", "context", "notifications", "inputResponses", "requestState",
	},
	levelMeta: {
		MetaProgressToken, MetaProtocolVersion, MetaClientCapabilities, MetaClientInfo,
		MetaLogLevel, MetaServerInfo, MetaSubscriptionID,
		"io.modelcontextprotocol/related-task", "traceparent", "tracestate", "baggage",
	},
	levelResult: {"_meta", "resultType", "requestState", "inputRequests", "cacheScope", "ttlMs"},
	levelError:  {"code", "message", "data"},
}

// folded maps the folded form of each protocol name to the name, by level.
var folded = func() [len(protocolNames)]map[string]string {
	var out [len(protocolNames)]map[string]string
	for lvl, names := range protocolNames {
		out[lvl] = make(map[string]string, len(names))
		for _, name := range names {
			out[lvl][fold(name)] = name
		}
	}
	return out
}()

// fold maps a name to a representative of all names that a lenient reader might
// take for it: each rune becomes the smallest of its simple case folding orbit
// (Unicode section 5.18), so that K (Kelvin) and k, ſ and s are one.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			if 'a' <= r && r <= 'z' {
				return r - 'a' + 'A'
			}
			return r
		}
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// imitates returns the protocol's name that a member name pretends to be, or "".
// raw is the name as written, without quotes.
func imitates(raw []byte, lvl level) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return imitated(raw, raw, lvl)
	}
	name, err := jsontext.AppendUnquote(nil, append(append([]byte{'"'}, raw...), '"'))
	if err != nil {
		return "" // a lone surrogate: no name of the protocol holds one
	}
	return imitated(raw, name, lvl)
}

// imitated compares the decoded name with those of the level. An exact match is
// an imitation only if it was written with escapes.
func imitated(raw, name []byte, lvl level) string {
	const longest = 64 // bytes; no protocol name comes near it
	if len(name) > longest {
		return ""
	}
	var buf [longest]byte
	key := buf[:0]
	for _, c := range name {
		if c >= utf8.RuneSelf {
			key = []byte(fold(string(name)))
			break
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		key = append(key, c)
	}
	own, ok := folded[lvl][string(key)]
	if !ok || own == string(raw) {
		return ""
	}
	return own
}

// hasPrefixFolded says whether a member name, as written without its quotes,
// starts with prefix after unescaping and folding.
func hasPrefixFolded(raw []byte, prefix, foldedPrefix string) bool {
	if len(raw) >= len(prefix) && string(raw[:len(prefix)]) == prefix {
		return true
	}
	plain := bytes.IndexByte(raw, '\\') < 0
	for _, c := range raw {
		plain = plain && c < utf8.RuneSelf
	}
	if plain {
		return len(raw) >= len(prefix) && strings.EqualFold(string(raw[:len(prefix)]), prefix)
	}
	name, err := jsontext.AppendUnquote(nil, append(append([]byte{'"'}, raw...), '"'))
	if err != nil && len(name) == 0 {
		return false
	}
	return strings.HasPrefix(fold(string(name)), foldedPrefix)
}
