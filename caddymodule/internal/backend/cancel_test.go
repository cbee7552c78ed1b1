package backend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

func TestCancelReachesTheChildWithItsOwnIDAndTheStamp(t *testing.T) {
	c := start(t, protocol.Legacy)
	call, in := c.say(`"mine"`)
	id := string(parse(t, c.sawLine(`"say"`)).ID)
	own := parse(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"mine","reason":"enough","_meta":{"io.github.snapgate/identity":"forged"}}}`)
	if !call.Cancel(own, "") {
		t.Fatal("the call was not in flight")
	}
	wants(t, c.sawLine("cancelled"), `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`,"reason":"enough","_meta":{"io.github.snapgate/identity":{"user":"u"}}}}`)
	in.silent(t)
}

func TestTheGatewaysOwnCancelIsStampedToo(t *testing.T) {
	c := start(t, protocol.Legacy)
	call, _ := c.say(`1`)
	id := string(parse(t, c.sawLine(`"say"`)).ID)
	call.Cancel(nil, "it \"took\" too long")
	wants(t, c.sawLine("cancelled"), `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"_meta":{"io.github.snapgate/identity":{"user":"u"}},"requestId":`+id+`,"reason":"it \"took\" too long"}}`)
}

func TestALateAnswerToACancelledCallGoesNowhere(t *testing.T) {
	c := start(t, protocol.Legacy)
	call, in := c.say(`1`)
	id := string(parse(t, c.sawLine(`"say"`)).ID)
	call.Cancel(nil, "enough")
	_, other := c.say(`1`,
		`{"jsonrpc":"2.0","id":`+id+`,"result":{"late":true}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+id+`,"progress":1}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{}}`)
	wants(t, other.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
	in.silent(t)
	if n := len(c.unclaimed); n > 0 {
		t.Errorf("%d messages were passed on", n)
	}
}

func TestASecondCancelOrOneAfterTheAnswerSaysNothing(t *testing.T) {
	c := start(t, protocol.Legacy)
	answered, in := c.say(`1`, `{"jsonrpc":"2.0","id":$id,"result":{}}`)
	in.frame(t)
	open, _ := c.say(`2`)
	if answered.Cancel(nil, "late") || !open.Cancel(nil, "first") || open.Cancel(nil, "second") {
		t.Error("only the first cancel of a call in flight counts")
	}
	if n := strings.Count(strings.Join(c.seen(), "\n"), "notifications/cancelled"); n != 1 {
		t.Errorf("the child read %d cancellations, want 1", n)
	}
}

func TestASecondAnswerGoesNowhere(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`, `{"jsonrpc":"2.0","id":$id,"result":{"n":1}}`, `{"jsonrpc":"2.0","id":$id,"result":{"n":2}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{"n":1}}`)
	c.seen()
	in.silent(t)
}

// A child that reads nothing for a while, and for which much waits, is told of a cancellation all
// the same, but not all that its client has to say about it.
func TestACancelReachesAChildThatHasNoRoom(t *testing.T) {
	c := start(t, protocol.Legacy)
	call, _ := c.say(`1`)
	c.seen()
	file := filepath.Join(t.TempDir(), "go on")
	c.call(fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"await","arguments":{"say":[%q]}}}`, file))
	own := func(fill int) string {
		return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"` + strings.Repeat("x", fill) + `"}}`
	}
	if err := c.Send(parse(t, own(4<<20)), nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(parse(t, own(1<<10)), nil); !errors.Is(err, process.ErrQueueFull) {
		t.Fatalf("there is room: %v", err)
	}
	call.Cancel(parse(t, own(1<<10)), "")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	answers, room := newInbox(), false
	for deadline := time.Now().Add(patience); !room; time.Sleep(time.Millisecond) {
		_, err := c.Call(parse(t, `{"jsonrpc":"2.0","id":3,"method":"seen"}`), nil, answers)
		if room = err == nil; !room && time.Now().After(deadline) {
			t.Fatal("there is never room")
		}
	}
	answers.frame(t) // it has read all
	c.sawLine(fmt.Sprintf(`"requestId":%d,"reason":""`, call.id))
}

// What the gateway says once only reaches a child that does not keep up at the moment.
func TestNothingThatIsSaidOnceIsLostWhereTheChildDoesNotKeepUp(t *testing.T) {
	c := start(t, protocol.Legacy)
	call, _ := c.call(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`)
	// The child can write no more until these are taken, and reads nothing meanwhile.
	flood := make([]string, 400)
	for i := range flood {
		flood[i] = `{"jsonrpc":"2.0","method":"notifications/own","params":{"fill":"` + strings.Repeat("x", 2<<10) + `"}}`
	}
	_, flooding := c.say(`2`, append(flood, `{"jsonrpc":"2.0","id":$id,"result":{}}`)...)
	<-c.unclaimed
	fill := parse(t, `{"jsonrpc":"2.0","method":"notifications/own","params":{"fill":"`+strings.Repeat("y", 2<<20)+`"}}`)
	if err := c.Send(fill, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(parse(t, `{"jsonrpc":"2.0","method":"notifications/own"}`), nil); !errors.Is(err, process.ErrQueueFull) {
		t.Fatalf("there is room: %v", err)
	}
	call.Cancel(nil, "gone")
	for _, err := range []error{
		c.Say([]byte(`{"jsonrpc":"2.0","id":"q","error":{"code":-32601,"message":"refused"}}`)),
		c.Say([]byte(`{"jsonrpc":"2.0","id":"p","result":{}}`)),
		c.Tell([]byte(`{"jsonrpc":"2.0","id":0,"method":"logging/setLevel","params":{"level":"debug"}}`)),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for range len(flood) - 1 {
			<-c.unclaimed
		}
	}()
	flooding.frame(t)
	<-taken
	small := parse(t, `{"jsonrpc":"2.0","method":"notifications/own"}`)
	for deadline := time.Now().Add(patience); c.Send(small, nil) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child does not read")
		}
	}
	read := strings.Join(c.seen(), "\n")
	for _, said := range []string{`"method":"notifications/cancelled","params":{`, `"id":"q","error"`, `"id":"p","result"`, `"method":"logging/setLevel"`} {
		if !strings.Contains(read, said) {
			t.Errorf("the child has not read %s", said)
		}
	}
}

// What many clients no longer want to hear takes no room from the answers that a child waits for.
func TestWhatIsToldTakesNoRoomFromAnswers(t *testing.T) {
	c := start(t, protocol.Legacy)
	c.call(hang)
	fill := parse(t, `{"jsonrpc":"2.0","method":"notifications/own","params":{"fill":"`+strings.Repeat("x", 2<<20)+`"}}`)
	c.await("it reads no more", func() bool { return c.Send(fill, nil) != nil })
	for i := range 300 {
		unsubscribe := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":"resources/unsubscribe","params":{"uri":"a://%d/%s"}}`, i, strings.Repeat("u", 8<<10))
		if err := c.Tell(unsubscribe); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := c.Say([]byte(`{"jsonrpc":"2.0","id":"q","result":{}}`)); err != nil {
		t.Error(err)
	}
}
