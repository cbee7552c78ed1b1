package backend

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// quickExit keeps the race detector from sleeping a second at the end of a child.
const quickExit = "GORACE=atexit_sleep_ms=0"

// patience is far longer than anything here takes, also on a machine that is very busy.
const patience = time.Minute

var stamp = []message.MetaValue{{Key: "io.github.snapgate/identity", Value: []byte(`{"user":"u"}`)}}

// conversation is a Conn with a child, and what reached neither call nor sink.
type conversation struct {
	*Conn
	t         testing.TB
	unclaimed chan string
	hung      chan string
	closed    chan error
}

func prepare(t testing.TB, how string, era protocol.Era) *conversation {
	t.Helper()
	c := &conversation{t: t, unclaimed: make(chan string, 100), hung: make(chan string, 10), closed: make(chan error, 2)}
	c.Conn = New(Config{
		Process:   process.Config{Command: os.Args[0], Env: []string{childVar + "=" + how, quickExit}, StopTimeout: time.Second},
		Era:       era,
		Unclaimed: func(_ *message.Message, frame []byte) { c.unclaimed <- string(frame) },
		Hangs:     func(reason string) { c.hung <- reason },
		Closed:    func(err error) { c.closed <- err },
	})
	return c
}

func start(t testing.TB, era protocol.Era) *conversation {
	t.Helper()
	c := prepare(t, "modern", era)
	c.begin()
	return c
}

// begin starts the child, and sees to its end with the test.
func (c *conversation) begin() {
	c.t.Helper()
	if err := c.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		c.Close("the test ends")
		c.ended()
	})
}

// ended waits until the process is gone and Closed was told so.
func (c *conversation) ended() {
	c.t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		c.t.Error("the process does not end")
	}
}

// inbox is a sink that keeps what it is told.
type inbox chan Event

func newInbox() inbox { return make(inbox, 2000) }

func (in inbox) Deliver(e Event) { in <- e }

func (in inbox) next(t testing.TB) Event {
	t.Helper()
	select {
	case e := <-in:
		return e
	case <-time.After(patience):
		t.Fatal("nothing was said about the call")
		return Event{}
	}
}

func (in inbox) frame(t testing.TB) string {
	t.Helper()
	e := in.next(t)
	if e.Err != nil {
		t.Fatalf("the call ended with %v", e.Err)
	}
	return string(e.Frame)
}

func (in inbox) silent(t testing.TB) {
	t.Helper()
	select {
	case e := <-in:
		t.Errorf("the sink was told %s (%v)", e.Frame, e.Err)
	default:
	}
}

func parse(t testing.TB, text string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(text), 0)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

func (c *conversation) call(text string) (*Call, inbox) {
	c.t.Helper()
	in := newInbox()
	call, err := c.Call(parse(c.t, text), stamp, in)
	if err != nil {
		c.t.Fatal(err)
	}
	return call, in
}

// say calls the child, which answers with these lines.
func (c *conversation) say(id string, lines ...string) (*Call, inbox) {
	c.t.Helper()
	return c.call(sayRequest(id, `"progressToken":"tok"`, lines...))
}

func sayRequest(id, meta string, lines ...string) string {
	text, err := json.Marshal(lines)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"_meta":{%s},"name":"say","arguments":{"say":%s}}}`, id, meta, text)
}

// seen returns all lines that the child has read. What the child wrote before it
// answers this has been delivered.
func (c *conversation) seen() []string {
	c.t.Helper()
	_, in := c.call(`{"jsonrpc":"2.0","id":"seen","method":"seen"}`)
	var answer struct{ Result struct{ Seen []string } }
	if err := json.Unmarshal([]byte(in.frame(c.t)), &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer.Result.Seen
}

// sawLine returns the line the child has read that holds the text.
func (c *conversation) sawLine(text string) string {
	c.t.Helper()
	for _, line := range c.seen() {
		if strings.Contains(line, text) {
			return line
		}
	}
	c.t.Fatalf("the child has read no line with %q", text)
	return ""
}

func wants(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// everywhere runs f from many goroutines at once.
func everywhere(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
