package backend

import (
	"fmt"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

func TestIDsOfAnyFormComeBackAsTheyWereWritten(t *testing.T) {
	c := start(t, protocol.Legacy)
	for _, id := range []string{
		`1`, `0`, `-7`, `"abc"`, `""`, `"1"`, `1.5e3`, `9007199254740993`, `123456789012345678901234567890`,
		`"a \"quoted\" \u00e9 é"`, `"\ud800"`, `"` + strings.Repeat("x", 10_000) + `"`,
	} {
		_, in := c.say(id, `{"jsonrpc":"2.0","id":$id,"result":{"ok":true}}`)
		wants(t, in.frame(t), `{"jsonrpc":"2.0","id":`+id+`,"result":{"ok":true}}`)
	}
}

func TestProgressTokensOfAnyFormComeBackAsTheyWereWritten(t *testing.T) {
	c := start(t, protocol.Legacy)
	for _, token := range []string{`1`, `"t"`, `12345678901234567890123`, `0.5`, `"\u0061"`} {
		in := newInbox()
		request := sayRequest(`1`, `"a":1,"progressToken":`+token+`,"b":2`,
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":1}}`,
			`{"jsonrpc":"2.0","id":$id,"result":{}}`)
		if _, err := c.Call(parse(t, request), nil, in); err != nil {
			t.Fatal(err)
		}
		wants(t, in.frame(t), `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+token+`,"progress":1}}`)
		if e := in.next(t); !e.Last {
			t.Errorf("the answer did not come last: %s", e.Frame)
		}
	}
}

// null asks for no progress.
func TestATokenThatIsNullIsNone(t *testing.T) {
	c := start(t, protocol.Legacy)
	in := newInbox()
	if _, err := c.Call(parse(t, sayRequest(`1`, `"progressToken":null`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{}}`)), nil, in); err != nil {
		t.Fatal(err)
	}
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
	if line := c.sawLine("say"); !strings.Contains(line, `"progressToken":null`) {
		t.Errorf("the child has read %s", line)
	}
}

// Servers whose JSON knows but one kind of number write 1.0 for 1, which is the same number.
func TestAnIDIsKnownAsAFloatToo(t *testing.T) {
	c := start(t, protocol.Legacy)
	for _, form := range []string{`$id.0`, `$ide0`, `$id0E-1`} {
		_, in := c.say(`7`,
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+form+`,"progress":1}}`,
			`{"jsonrpc":"2.0","id":$id5e-1,"result":{}}`, // no number of a call
			`{"jsonrpc":"2.0","id":`+form+`,"result":{"form":1}}`)
		wants(t, in.frame(t), `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
		wants(t, in.frame(t), `{"jsonrpc":"2.0","id":7,"result":{"form":1}}`)
	}
}

func TestTheChildNeverSeesAnIDOrATokenTwice(t *testing.T) {
	c := start(t, protocol.Legacy)
	for range 20 {
		_, in := c.say(`7`, `{"jsonrpc":"2.0","id":$id,"result":{}}`)
		in.frame(t)
	}
	ids := map[string]bool{}
	for _, line := range c.seen() {
		m := parse(t, line)
		if id := string(m.ID); ids[id] {
			t.Errorf("id %s was used twice", id)
		} else if ids[id] = true; string(m.ProgressToken()) != id {
			t.Errorf("progress token %s, want the id %s", m.ProgressToken(), id)
		}
	}
}

func TestEqualIDsOfManyCallersAreNeverMixed(t *testing.T) {
	calls := 100
	if testing.Short() {
		calls = 20
	}
	c := start(t, protocol.Modern)
	everywhere(50, func(caller int) {
		for n := range calls {
			mark := fmt.Sprintf("%d-%d", caller, n)
			in := newInbox()
			request := sayRequest(`1`, `"progressToken":1`,
				`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":1,"message":"`+mark+`"}}`,
				`{"jsonrpc":"2.0","id":$id,"result":{"mark":"`+mark+`"}}`)
			if _, err := c.Call(parse(t, request), stamp, in); err != nil {
				t.Error(err)
				return
			}
			progress, answer := in.next(t), in.next(t)
			if !strings.Contains(string(progress.Frame), `"`+mark+`"`) || !strings.Contains(string(answer.Frame), `"`+mark+`"`) {
				t.Errorf("caller %s was told %s and %s", mark, progress.Frame, answer.Frame)
				return
			}
		}
	})
}

func TestProgressOfACallWithoutATokenGoesNowhere(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.call(sayRequest(`1`, ``,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$id,"progress":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"$id","progress":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":99999,"progress":1}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{}}`))
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
	if n := len(c.unclaimed); n > 0 {
		t.Errorf("%d of them were passed on", n)
	}
}

func TestKeysOfTheGatewayAreTheGatewaysOnly(t *testing.T) {
	c := start(t, protocol.Modern)
	forged := `"io.github.snapgate/identity":{"user":"evil"},"IO.GitHub.snapgate/x":1,"\u0069o.github.snapgate/user":"evil"`
	_, in := c.call(sayRequest(`1`, forged+`,"keep":1`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"_meta":{`+forged+`,"n":1},"data":1}}`,
		`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"_meta":{`+forged+`}}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{"_meta":{"r":1,`+forged+`},"contents":[{"_meta":{`+forged+`}}]}}`))
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{"_meta":{"r":1},"contents":[{"_meta":{}}]}}`)
	wants(t, <-c.unclaimed, `{"jsonrpc":"2.0","method":"notifications/message","params":{"_meta":{"n":1},"data":1}}`)
	wants(t, <-c.unclaimed, `{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"_meta":{}}}`)

	read := parse(t, c.sawLine(`"say"`))
	meta, _, _ := strings.Cut(string(read.Raw), `,"name"`)
	wants(t, meta, `{"jsonrpc":"2.0","id":`+string(read.ID)+`,"method":"tools/call","params":{"_meta":{"io.github.snapgate/identity":{"user":"u"},"keep":1}`)
}

func TestNotificationsAreStampedAndResponsesAreNot(t *testing.T) {
	c := start(t, protocol.Legacy)
	forged := `"_meta":{"io.github.snapgate/identity":{"user":"evil"}}`
	if err := c.Send(parse(t, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{`+forged+`}}`), stamp); err != nil {
		t.Fatal(err)
	}
	if err := c.Respond(parse(t, `{"jsonrpc":"2.0","id":"known","result":{`+forged+`,"roots":[]}}`), []byte(`"q"`)); err != nil {
		t.Fatal(err)
	}
	lines := c.seen()
	wants(t, lines[0], `{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{"_meta":{"io.github.snapgate/identity":{"user":"u"}}}}`)
	wants(t, lines[1], `{"jsonrpc":"2.0","id":"q","result":{"_meta":{},"roots":[]}}`)
}

func TestCacheScopeIsPrivateInTheModernEra(t *testing.T) {
	for _, test := range []struct {
		era       protocol.Era
		say, want string
	}{
		{protocol.Modern, `"cacheScope":"public"`, `"cacheScope":"private"`},
		{protocol.Modern, `"cacheScope":"private"`, `"cacheScope":"private"`},
		{protocol.Modern, `"cacheScope":null`, `"cacheScope":"private"`},
		{protocol.Modern, `"cacheScope": "\u0070ublic"`, `"cacheScope": "private"`},
		{protocol.Modern, `"x":{"cacheScope":"public"}`, `"x":{"cacheScope":"public"}`},
		{protocol.Legacy, `"cacheScope":"public"`, `"cacheScope":"public"`},
	} {
		c := start(t, test.era)
		_, in := c.say(`1`, `{"jsonrpc":"2.0","id":$id,"result":{`+test.say+`,"ttlMs":1}}`)
		wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{`+test.want+`,"ttlMs":1}}`)
	}
}

const listen = `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"name":"say","arguments":{"say":%s}}}`

func TestSubscriptionsAreNamedByTheClientsID(t *testing.T) {
	c := start(t, protocol.Modern)
	id := message.MetaSubscriptionID
	_, in := c.call(fmt.Sprintf(listen, fmt.Sprintf(`[
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":{\"%s\":$id}}}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"_meta\":{\"%[1]s\":$id},\"uri\":\"a:b\"}}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"_meta\":{\"%[1]s\":12345},\"uri\":\"a:c\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"resultType\":\"complete\",\"_meta\":{\"%[1]s\":$id}}}"]`, id)))
	wants(t, in.frame(t), `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"`+id+`":"sub"}}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"`+id+`":"sub"},"uri":"a:b"}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":"sub","result":{"resultType":"complete","_meta":{"`+id+`":"sub"}}}`)
}

// A call is no subscription, whatever the child says: nothing is told to it under that name.
func TestACallIsNoSubscription(t *testing.T) {
	c := start(t, protocol.Modern)
	_, in := c.say(`1`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"`+message.MetaSubscriptionID+`":$id},"uri":"a:b"}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
}

func TestTheChildEndsASubscriptionByCancellingIt(t *testing.T) {
	c := start(t, protocol.Modern)
	_, in := c.call(fmt.Sprintf(listen, `["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":$id}}","{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{}}"]`))
	e := in.next(t)
	wants(t, string(e.Frame), `{"jsonrpc":"2.0","id":"sub","result":{"resultType":"complete","_meta":{"`+message.MetaSubscriptionID+`":"sub"}}}`)
	if !e.Last || e.Err != nil {
		t.Errorf("last %v, error %v", e.Last, e.Err)
	}
	c.seen()
	in.silent(t)
}

func TestTheChildCannotEndACallByCancellingIt(t *testing.T) {
	c := start(t, protocol.Modern)
	_, in := c.say(`1`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":$id}}`, `{"jsonrpc":"2.0","id":$id,"result":{}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
}
