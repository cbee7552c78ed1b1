package stdio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// buffer is an output that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(strings.TrimSuffix(b.data.String(), "\n"), "\n")
}

func connect(t *testing.T, transport *Transport) mcp.Connection {
	t.Helper()
	c, err := transport.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// over is a connection whose input is the text, with the output it writes to.
func over(t *testing.T, input string) (mcp.Connection, *buffer) {
	t.Helper()
	out := new(buffer)
	c := connect(t, &Transport{In: io.NopCloser(strings.NewReader(input)), Out: out})
	t.Cleanup(func() { c.Close() })
	return c, out
}

func read(t *testing.T, c mcp.Connection) *jsonrpc.Request {
	t.Helper()
	message, err := c.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return message.(*jsonrpc.Request)
}

func answer(t *testing.T, c mcp.Connection, id jsonrpc.ID, result string) {
	t.Helper()
	if err := c.Write(context.Background(), &jsonrpc.Response{ID: id, Result: json.RawMessage(result)}); err != nil {
		t.Error(err)
	}
}

func call(id int, method string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q}`+"\n", id, method)
}

func TestEndOfInputWaitsForEveryAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, out := over(t, call(1, "a")+call(2, "b")+`{"jsonrpc":"2.0","method":"notifications/x"}`)
		for _, want := range []string{"a", "b", "notifications/x"} {
			if got := read(t, c); got.Method != want {
				t.Errorf("read %s, want %s", got.Method, want)
			}
		}
		ended := false
		go func() {
			if _, err := c.Read(context.Background()); !errors.Is(err, io.EOF) {
				t.Errorf("Read: %v", err)
			}
			ended = true
		}()
		for id := range int64(2) {
			time.Sleep(drainStall - time.Second)
			synctest.Wait()
			if ended {
				t.Fatal("ended with calls in flight")
			}
			answer(t, c, mustID(t, float64(id+1)), `{}`)
		}
		synctest.Wait()
		if !ended || len(out.lines()) != 2 {
			t.Errorf("ended %v, wrote %q", ended, out.lines())
		}
	})
}

func mustID(t *testing.T, v any) jsonrpc.ID {
	t.Helper()
	id, err := jsonrpc.MakeID(v)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCallsThatNeverEndAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := over(t, call(1, "a"))
		read(t, c)
		start := time.Now()
		if _, err := c.Read(context.Background()); err == nil || !strings.Contains(err.Error(), "unanswered") {
			t.Errorf("Read: %v", err)
		}
		if waited := time.Since(start); waited < drainStall {
			t.Errorf("waited only %v", waited)
		}
	})
}

func TestEndOfInputEndsSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := over(t, call(7, "subscriptions/listen"))
		listen := read(t, c)
		cancel := read(t, c)
		if cancel.Method != "notifications/cancelled" || !strings.Contains(string(cancel.Params), `"requestId":7`) {
			t.Errorf("read %s %s", cancel.Method, cancel.Params)
		}
		answer(t, c, listen.ID, `{}`)
		if _, err := c.Read(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("Read: %v", err)
		}
	})
}

func TestStopEndsInputThatStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, feed := io.Pipe()
		stop := make(chan struct{})
		c := connect(t, &Transport{In: in, Out: io.Discard, Stop: stop})
		go feed.Write([]byte(call(1, "a")))
		request := read(t, c)
		close(stop)
		go func() {
			time.Sleep(time.Second)
			answer(t, c, request.ID, `{}`)
		}()
		start := time.Now()
		if _, err := c.Read(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("Read: %v", err)
		}
		if waited := time.Since(start); waited < time.Second {
			t.Errorf("did not wait for the answer: %v", waited)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}) // synctest reports a reading goroutine that has not ended
}

func TestCloseUnblocksRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := io.Pipe()
		c := connect(t, &Transport{In: in, Out: io.Discard})
		go func() {
			time.Sleep(time.Second)
			c.Close()
			c.Close() // again is nothing
		}()
		if _, err := c.Read(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("Read: %v", err)
		}
	})
}

func TestWhatIsNoMessageIsAnsweredAndPassedOver(t *testing.T) {
	tests := map[string]string{
		`garbage`: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not valid JSON"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"a"} x`:  `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`,
		`{"jsonrpc":"2.0","id":1,"method":"a"`:     `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`,
		`5`:                                        `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`,
		`{"jsonrpc":"2.0","id":4,"method":5}`:      `{"jsonrpc":"2.0","id":4,"error":{"code":-32600,`,
		`{"jsonrpc":"1.0","id":"x","method":"a"}`:  `{"jsonrpc":"2.0","id":"x","error":{"code":-32600,`,
		`{"jsonrpc":"2.0","id":{},"method":"a"}`:   `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`,
		`{"jsonrpc":"2.0","id":true,"method":"a"}`: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`,
		`[{"jsonrpc":"2.0","id":1,"method":"a"}]`:  `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`,
		strings.Repeat("[", 20000):                 `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`,
	}
	for line, want := range tests {
		c, out := over(t, line+"\n"+call(9, "good"))
		if got := read(t, c); got.Method != "good" {
			t.Errorf("%.50s: read %s", line, got.Method)
		}
		if got := out.lines(); len(got) != 1 || !strings.HasPrefix(got[0], want) || !json.Valid([]byte(got[0])) {
			t.Errorf("%.50s: wrote %q", line, got)
		}
	}
}

func TestIDInUseIsRefused(t *testing.T) {
	c, out := over(t, call(1, "a")+call(1, "b")+call(2, "c"))
	first := read(t, c)
	if got := read(t, c); got.Method != "c" {
		t.Errorf("read %s", got.Method)
	}
	if got := out.lines(); len(got) != 1 || !strings.Contains(got[0], `"id":null`) || !strings.Contains(got[0], "-32600") {
		t.Errorf("wrote %q", got)
	}
	answer(t, c, first.ID, `{}`)
}

func TestLines(t *testing.T) {
	const limit = 10
	tests := []struct {
		in   string
		want []string // "!" for a line that is too long
	}{
		{"a\nb\n", []string{"a", "b"}},
		{"a\r\nb", []string{"a", "b"}},
		{"\n \r\na\n\n", []string{"", "", "a", ""}},
		{"0123456789\n", []string{"0123456789"}},
		{"0123456789a\nb\n", []string{"!", "b"}},
		{strings.Repeat("x", 100) + "\nb\n", []string{"!", "b"}},
		{strings.Repeat("x", 100), []string{"!"}},
	}
	for _, test := range tests {
		r := bufio.NewReaderSize(strings.NewReader(test.in), 16)
		var got []string
		for {
			data, err := readLine(r, limit)
			switch {
			case errors.Is(err, errTooLong):
				got = append(got, "!")
				continue
			case err == nil || len(data) > 0:
				got = append(got, string(data))
			}
			if err != nil {
				break
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%.20q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestALineMayBeLargerThanAnyBuffer(t *testing.T) {
	large := strings.Repeat("x", 5<<20)
	c, _ := over(t, `{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"`+large+`"}}`)
	if got := read(t, c); len(got.Params) < len(large) {
		t.Errorf("%d bytes of params", len(got.Params))
	}
}

func TestInputWaitsWhileTooManyCallsAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var input strings.Builder
		for i := range MaxInFlight + 1 {
			input.WriteString(call(i+1, "a"))
		}
		c, _ := over(t, input.String())
		first := read(t, c)
		for range MaxInFlight - 1 {
			read(t, c)
		}
		readsOnceThereIsRoom(t, c, first.ID)
	})
}

func TestInputWaitsWhileTooManyBytesAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := `","params":"` + strings.Repeat("x", MaxBytesInFlight/2) + `"}` + "\n"
		c, _ := over(t, `{"jsonrpc":"2.0","id":1,"method":"a`+half+`{"jsonrpc":"2.0","id":2,"method":"b`+half+call(3, "c"))
		first := read(t, c)
		read(t, c)
		readsOnceThereIsRoom(t, c, first.ID)
	})
}

// readsOnceThereIsRoom holds that nothing more is read until a call has its answer.
func readsOnceThereIsRoom(t *testing.T, c mcp.Connection, id jsonrpc.ID) {
	t.Helper()
	got := false
	go func() {
		read(t, c)
		got = true
	}()
	synctest.Wait()
	if got {
		t.Error("read beyond the bound")
	}
	answer(t, c, id, `{}`)
	synctest.Wait()
	if !got {
		t.Error("there was room and nothing was read")
	}
	c.Close()
}

func TestToolCallsAreHandedOnAsTheyAreAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admitted := make(chan struct{}, 1)
		in := io.NopCloser(strings.NewReader(call(1, "tools/call") + call(2, "tools/call") + call(3, "ping")))
		c := connect(t, &Transport{In: in, Out: io.Discard, Admitted: admitted})
		read(t, c)
		var got []string
		go func() {
			got = append(got, read(t, c).Method)
			got = append(got, read(t, c).Method)
		}()
		synctest.Wait()
		if len(got) != 0 {
			t.Error("handed on before the first was admitted")
		}
		admitted <- struct{}{}
		synctest.Wait()
		if len(got) != 1 {
			t.Errorf("read %v after the first was admitted", got)
		}
		answer(t, c, mustID(t, float64(2)), `{}`) // answered without being admitted
		synctest.Wait()
		if !slices.Equal(got, []string{"tools/call", "ping"}) {
			t.Errorf("read %v", got)
		}
		c.Close()
	})
}

func TestBatchesOfTheVersionThatHasThem(t *testing.T) {
	in, feed := io.Pipe()
	out := new(buffer)
	c := connect(t, &Transport{In: in, Out: out})
	defer c.Close()
	go io.WriteString(feed, call(1, "initialize"))
	answer(t, c, read(t, c).ID, `{"protocolVersion":"2025-03-26"}`)
	batch := `[` + strings.TrimSpace(call(2, "a")) + `,{"jsonrpc":"2.0","method":"notifications/x"},` + strings.TrimSpace(call(3, "b")) + "]\n"
	go io.WriteString(feed, batch)
	a, _, b := read(t, c), read(t, c), read(t, c)
	answer(t, c, b.ID, `{"b":1}`)
	if got := out.lines(); len(got) != 1 {
		t.Errorf("half an answer: %q", got)
	}
	answer(t, c, a.ID, `{"a":1}`)
	want := `[{"jsonrpc":"2.0","id":3,"result":{"b":1}},{"jsonrpc":"2.0","id":2,"result":{"a":1}}]`
	if got := out.lines(); len(got) != 2 || got[1] != want {
		t.Errorf("wrote %q", got)
	}
	feed.Close()
	if _, err := c.Read(context.Background()); !errors.Is(err, io.EOF) {
		t.Errorf("Read: %v", err)
	}
}
