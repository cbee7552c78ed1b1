package backend

import (
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

func TestAMalformedAnswerFailsItsOwnCallOnly(t *testing.T) {
	for _, test := range []struct{ name, line string }{
		{"duplicate key", `{"jsonrpc":"2.0","id":$id,"result":{"a":1,"a":2}}`},
		{"duplicate key before the id", `{"result":{"a":1,"a":2},"jsonrpc":"2.0","id":$id}`},
		{"bad UTF-8", `{"jsonrpc":"2.0","id":$id,"result":{"a":"<bad utf-8>"}}`},
		{"too deep", `{"jsonrpc":"2.0","id":$id,"result":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`},
		{"no result and no error", `{"jsonrpc":"2.0","id":$id}`},
		{"result beside error", `{"jsonrpc":"2.0","id":$id,"result":{},"error":{"code":1,"message":""}}`},
		{"wrong version", `{"jsonrpc":"1.0","id":$id,"result":{}}`},
		{"look-alike", `{"jsonrpc":"2.0","id":$id,"Result":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, protocol.Legacy)
			_, other := c.say(`1`)
			_, in := c.say(`1`, test.line)
			if e := in.next(t); e.Err == nil || !e.Last || e.Frame != nil {
				t.Errorf("the call was told %s, error %v", e.Frame, e.Err)
			}
			c.seen()
			other.silent(t)
		})
	}
}

// A line nested deeper than the lenient reader goes must not leave its call waiting
// until call_timeout.
func TestAnAnswerNestedVeryDeepFailsItsCall(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`, `{"jsonrpc":"2.0","id":$id,"result":{"a":<deep>}}`)
	c.seen()
	select {
	case e := <-in:
		if e.Err == nil {
			t.Errorf("the call was told %s", e.Frame)
		}
	default:
		t.Error("the call still waits")
	}
}

// A look-alike of the id names another call than the id does.
func TestALookAlikeOfTheIDDoesNotFailAnothersCall(t *testing.T) {
	c := start(t, protocol.Modern)
	_, other := c.say(`1`)
	id := string(parse(t, c.sawLine(`"say"`)).ID)
	_, in := c.say(`2`, `{"jsonrpc":"2.0","id":$id,"ID":`+id+`,"result":{}}`)
	c.seen()
	other.silent(t)
	if len(in) != 1 {
		t.Error("the call whose answer it was still waits")
	}
}

func TestRubbishIsIgnored(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`,
		`Server listening on port 3000`, ``, `[]`, `[{"jsonrpc":"2.0","id":$id,"result":{"batch":1}}]`, `{}`, `{"jsonrpc":"2.0"}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`, `{"jsonrpc":"2.0","id":"$id","result":{}}`,
		`{"jsonrpc":"2.0","id":424242,"result":{}}`, `{"jsonrpc":"2.0","id":true,"result":{}}`, `{"level":"info","msg":"a log line","id":"x"}`,
		`{"jsonrpc":"2.0","id":$id,"result":{"good":1}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{"good":1}}`)
	if n := len(c.unclaimed); n > 0 {
		t.Errorf("%d lines were passed on", n)
	}
}

func TestAMalformedRequestOrNotificationOfTheChildFailsNoCall(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`,
		`{"jsonrpc":"2.0","id":$id,"method":"ping","params":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
}
