package integration_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// event is one of an event stream (HTML Living Standard, section 9.2).
type event struct {
	id, data string
	comment  bool // nothing but a comment
}

// events is an open event stream.
type events struct {
	t      testing.TB
	status int
	header http.Header
	cancel context.CancelFunc
	next   chan event // closed at the end of the stream
}

// listen opens an event stream by GET, or by POST with a body, until the test ends.
func (p *peer) listen(method, body string, change ...func(*http.Request)) *events {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := p.request(ctx, method, body)
	for _, spoil := range change {
		spoil(r)
	}
	response, err := p.gateway.client.Do(r)
	if err != nil {
		cancel()
		p.t.Fatal(err)
	}
	s := &events{t: p.t, status: response.StatusCode, header: response.Header, cancel: cancel, next: make(chan event, 1024)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.next)
		defer response.Body.Close()
		s.read(bufio.NewScanner(response.Body))
	}()
	p.t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// resume opens what goes on behind an event, which is told first.
func (p *peer) resume(id string) *events {
	p.t.Helper()
	s := p.listen(http.MethodGet, "", set("Last-Event-ID", id))
	if first := s.take(); first.id != id || first.data != "" {
		p.t.Errorf("resumed behind %s it begins with %+v", id, first)
	}
	return s
}

func (s *events) read(lines *bufio.Scanner) {
	lines.Buffer(nil, 8<<20)
	e := event{comment: true}
	for lines.Scan() {
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "":
			if lines.Text() == "" {
				s.next <- e
				e = event{comment: true}
			}
		case "id":
			e.id, e.comment = value, false
		case "data":
			e.data, e.comment = value, false
		}
	}
}

// take returns the next event that is no comment.
func (s *events) take() event {
	s.t.Helper()
	e, open := s.tryTake()
	if !open {
		s.t.Fatal("the stream ended before the event came")
	}
	return e
}

// tryTake is take for a stream that may end before.
func (s *events) tryTake() (e event, open bool) {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-s.next:
			if !open || !e.comment {
				return e, open
			}
		case <-timeout:
			s.t.Fatal("the event did not come in time")
		}
	}
}

// ended waits for the end and returns what came before.
func (s *events) ended() []event {
	s.t.Helper()
	var rest []event
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-s.next:
			if !open {
				return rest
			}
			if !e.comment {
				rest = append(rest, e)
			}
		case <-timeout:
			s.t.Fatal("the stream did not end in time")
		}
	}
}
