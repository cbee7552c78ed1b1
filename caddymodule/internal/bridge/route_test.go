package bridge

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// lone is a session without a child.
func lone() *session {
	b := New(PerSession)
	s := &session{
		bridge: b, id: "id", over: make(chan struct{}), calls: map[string]*inCall{}, asked: map[string]asking{},
		lastUsed: time.Now(), conn: backend.New(backend.Config{}), idle: time.AfterFunc(time.Hour, func() {}),
	}
	s.standalone = &stream{id: standaloneID}
	b.sessions[s.id] = s
	b.perUser.Acquire(s.owner.key(), 1)
	return s
}

// A fast child asks back before the handler of the call has come to wait for it.
func TestARequestOfTheServerInTheFirstMomentOfACallGoesToItsStream(t *testing.T) {
	s := lone()
	in, refusal := s.begin(&admission.Call{Message: parsed(t, tool(`1`, "x", ``))})
	if refusal != nil {
		t.Fatal(refusal)
	}
	q := question(t, `"q"`)
	s.fromServer(q.msg, q.frame)
	if events, _ := in.stream.size(); events != 1 {
		t.Error("it did not go to the stream of the one call in flight")
	}
}

// A client that is about to come back for a call's stream asks for that stream.
func TestARequestOfTheServerWaitsForAClientThatIsAway(t *testing.T) {
	s := lone()
	in, _ := s.begin(&admission.Call{Message: parsed(t, tool(`1`, "x", ``))})
	in.stream.detach(in.stream.attach(1))
	q := question(t, `"q"`)
	s.fromServer(q.msg, q.frame)
	if events, _ := in.stream.size(); events != 1 {
		t.Error("nobody follows the standalone stream, and yet it went there")
	}
}

func TestWithSeveralCallsTheStandaloneStreamIsPreferred(t *testing.T) {
	s := lone()
	var streams []*stream
	for n := range 11 {
		in, _ := s.begin(&admission.Call{Message: parsed(t, tool(fmt.Sprint(n), "x", ``))})
		in.stream.attach(1)
		streams = append(streams, in.stream)
	}
	q := question(t, `1`)
	s.fromServer(q.msg, q.frame)
	if events, _ := streams[10].size(); events != 1 {
		t.Error("with nobody at the standalone stream it goes to the newest call")
	}
	s.standalone.attach(1)
	s.fromServer(q.msg, q.frame)
	if events, _ := s.standalone.size(); events != 1 {
		t.Error("with somebody there it goes to the standalone stream")
	}
}

// A body may be 4 MiB, and a session keeps up to 256 streams to resume.
func TestAKeptStreamDoesNotKeepTheRequestItAnswered(t *testing.T) {
	s := lone()
	body := bytes.Repeat([]byte{' '}, 1<<20)
	copy(body, tool(`1`, "x", ``))
	m, err := message.Parse(body, 0)
	if err != nil {
		t.Fatal(err)
	}
	kept := weak.Make(&body[0])
	in, _ := s.begin(&admission.Call{Message: m})
	in.stream.push(reply(t, `1`))
	s.finish(m, in, true)
	m, body, in = nil, nil, nil
	runtime.GC()
	runtime.GC()
	if kept.Value() != nil {
		t.Error("the request's body is still in memory")
	}
	runtime.KeepAlive(s)
}

func TestKeptStreamsAreBounded(t *testing.T) {
	s := lone()
	for n := range 3 * maxEvents {
		m := parsed(t, tool(fmt.Sprint(n), "x", ``))
		in, _ := s.begin(&admission.Call{Message: m})
		in.stream.push(reply(t, `1`))
		s.finish(m, in, true)
	}
	if len(s.kept) > maxEvents {
		t.Errorf("%d streams are kept", len(s.kept))
	}
	if _, _, ok := s.resume("c1-0"); ok {
		t.Error("the oldest is still there")
	}
	if _, _, ok := s.resume(fmt.Sprintf("c%d-0", 3*maxEvents)); !ok {
		t.Error("the newest is gone")
	}
}

func TestOnlyWellFormedEventIDsAreResumed(t *testing.T) {
	s := lone()
	in, _ := s.begin(&admission.Call{Message: parsed(t, tool(`1`, "x", ``))})
	if found, number, ok := s.resume("c1-3"); found != in.stream || number != 3 || !ok {
		t.Error("c1-3 was not found")
	}
	for _, id := range []string{"", "c1", "c1-", "c1-x", "c1--1", "c1-01", "c1-1 ", "c1-+1", "c2-1", "c-1", "s", "x-1", "c1-99999999999999999999"} {
		if _, _, ok := s.resume(id); ok {
			t.Errorf("%q was taken", id)
		}
	}
}

// The idle timer fires while a call comes: either the call finds no session, or the
// session lives.
func TestAnIdleSessionIsNotEndedUnderACall(t *testing.T) {
	m := parsed(t, tool(`1`, "x", ``))
	for range 5000 {
		s := lone()
		s.lastUsed = time.Now().Add(-24 * time.Hour)
		var race sync.WaitGroup
		ready := make(chan struct{})
		race.Go(func() {
			close(ready)
			s.reap()
		})
		<-ready
		if _, refusal := s.begin(&admission.Call{Message: m}); refusal == nil {
			race.Wait()
			s.mu.Lock()
			ended := s.ended
			s.mu.Unlock()
			if ended {
				t.Fatal("the session was ended as idle with a call in flight")
			}
		}
		race.Wait()
		s.idle.Stop()
	}
}

func TestAnIdleProcessIsNotEndedUnderACall(t *testing.T) {
	for range 5000 {
		p := New(PerSession).newPooled(kind{era: "modern"})
		p.conn = backend.New(backend.Config{})
		p.lastUsed, p.idle = time.Now().Add(-24*time.Hour), time.AfterFunc(time.Hour, func() {})
		var race sync.WaitGroup
		ready := make(chan struct{})
		race.Go(func() {
			close(ready)
			p.reap()
		})
		<-ready
		if p.use() {
			race.Wait()
			p.mu.Lock()
			ended := p.ended
			p.mu.Unlock()
			if ended {
				t.Fatal("the process was ended as idle with a caller")
			}
		}
		race.Wait()
		p.idle.Stop()
	}
}

// A process may take longer to start than a session may be idle.
func TestASessionThatBeginsIsNotIdle(t *testing.T) {
	s := lone()
	defer s.idle.Stop()
	s.lastUsed = time.Now().Add(-24 * time.Hour)
	s.beginning = true
	if s.reap(); s.ended {
		t.Error("it was ended before it began")
	}
	s.beginning = false
	if s.reap(); !s.ended {
		t.Error("it was not ended after that")
	}
}
