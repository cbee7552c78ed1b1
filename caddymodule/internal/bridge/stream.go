package bridge

import (
	"bytes"
	"slices"
	"sync"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
)

// What a stream keeps: of what was written, or while nobody reads, for clients that come
// back; and of what waits for a client that reads slowly.
const (
	maxEvents  = 256
	maxBytes   = 1 << 20
	maxWaiting = 4096
	maxBacklog = 4 << 20
)

// event is one message on its way to the client.
type event struct {
	number int64
	frame  []byte
	msg    *message.Message // the child's own; nil if the gateway made it
	last   bool
	err    error // instead of frame: why there is no answer
	parks  bool  // the call goes on after this answer: the client is asked for input
}

// stream is what one HTTP stream has to say, in order. Whoever pushes never waits:
// beyond its bounds a stream forgets what was written before, then notifications,
// and only then requests, which are reported so that they can be answered.
type stream struct {
	id      string         // prefix of the event ids; "" if events are not kept once written
	request []byte         // raw id of the call; nil if it belongs to none
	about   policy.Request // what that call is about
	lost    func(event)

	mu      sync.Mutex
	events  []event
	written int // how many of events were written
	bytes   int
	next    int64
	ended   bool
	dropped bool // nobody can come back to it
	last    event
	over    chan struct{} // made when somebody waits for the end
	writers []*writer     // the newest receives
}

// writer is an HTTP response that is attached to a stream.
type writer struct {
	wake   chan struct{}
	closed bool  // too many came after it
	seen   int64 // the last event it took
}

// Deliver takes an event of a call: a stream is the sink of the call it belongs to.
func (s *stream) Deliver(e backend.Event) {
	s.push(event{frame: e.Frame, msg: e.Message, last: e.Last, err: e.Err})
}

func (s *stream) push(e event) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		if s.lost != nil {
			s.lost(e)
		}
		return
	}
	s.next++
	e.number = s.next
	if e.frame == nil {
		e.frame = faultFrame(e.err, s.request)
	}
	if e.last {
		s.finish(e)
	}
	s.events = append(s.events, e)
	s.bytes += len(e.frame)
	lost := s.evict()
	s.wakeNewest()
	s.mu.Unlock()
	if s.lost != nil {
		for _, e := range lost {
			s.lost(e)
		}
	}
}

// end says that nothing more will come.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.finish(event{last: true})
	for _, w := range s.writers {
		w.signal()
	}
}

func (s *stream) finish(e event) {
	s.ended, s.last = true, e
	if s.over != nil {
		close(s.over)
		s.over = nil
	}
}

// finished is closed once the stream has ended.
func (s *stream) finished() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return closed
	}
	if s.over == nil {
		s.over = make(chan struct{})
	}
	return s.over
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// final is the event that ended the stream.
func (s *stream) final() event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// evict keeps the bounds and returns what no client has seen. The newest event
// always stays.
func (s *stream) evict() (lost []event) {
	for s.written > 0 && (len(s.events) > maxEvents || s.bytes > maxBytes) {
		s.remove(0)
		s.written--
	}
	events, bytes := maxEvents, maxBytes
	if len(s.writers) > 0 {
		events, bytes = maxWaiting, maxBacklog
	}
	for len(s.events) > 1 && (len(s.events) > events || s.bytes > bytes) {
		// Notifications go before requests, which somebody waits for.
		i := max(0, slices.IndexFunc(s.events[:len(s.events)-1], func(e event) bool {
			return e.msg != nil && e.msg.Kind == message.Notification
		}))
		lost = append(lost, s.events[i])
		s.remove(i)
	}
	return lost
}

func (s *stream) remove(i int) {
	s.bytes -= len(s.events[i].frame)
	s.events = slices.Delete(s.events, i, i+1)
}

func (s *stream) wakeNewest() {
	if n := len(s.writers); n > 0 {
		s.writers[n-1].signal()
	}
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// attach makes a writer the one that receives. Of more than limit, the oldest is
// let go.
func (s *stream) attach(limit int) *writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(limit)
}

// resume is attach for a client that has everything up to the event with that number,
// and gets what followed once more, as far as it is kept.
func (s *stream) resume(number int64, limit int) *writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = s.after(number)
	w := s.add(limit)
	w.seen = number
	return w
}

func (s *stream) add(limit int) *writer {
	w := &writer{wake: make(chan struct{}, 1)}
	s.writers = append(s.writers, w)
	if len(s.writers) > limit {
		s.writers[0].closed = true
		s.writers[0].signal()
		s.writers = s.writers[1:]
	}
	w.signal()
	return w
}

// after is the index of the first event behind the one with that number.
func (s *stream) after(number int64) int {
	i := 0
	for i < len(s.events) && s.events[i].number <= number {
		i++
	}
	return i
}

func (s *stream) detach(w *writer) {
	s.mu.Lock()
	s.writers = slices.DeleteFunc(s.writers, func(other *writer) bool { return other == w })
	s.wakeNewest()
	lost := s.forsaken()
	s.mu.Unlock()
	for _, e := range lost {
		s.lost(e)
	}
}

// attached says whether somebody reads, and more may come.
func (s *stream) attached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.writers) > 0 && !s.ended
}

// take returns what the writer is to write now, and whether nothing more will come for
// it: the stream has ended, or another writer has taken its place.
func (s *stream) take(w *writer) (events []event, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.closed {
		return nil, true
	}
	if len(s.writers) == 0 || s.writers[len(s.writers)-1] != w {
		return nil, s.ended
	}
	if s.id == "" {
		events, s.events, s.bytes = s.events, nil, 0
	} else {
		fresh := s.events[s.written:]
		events = slices.Clone(fresh)
		s.written = len(s.events)
		for i := range fresh {
			fresh[i].msg = traits(fresh[i].msg) // what is kept is kept once
		}
	}
	if len(events) > 0 {
		w.seen = events[len(events)-1].number
	}
	return events, s.ended
}

// traits is what is kept of a message whose frame is kept, in case that it could not be
// written: what it is, and how to answer it if it is lost then.
func traits(m *message.Message) *message.Message {
	switch {
	case m == nil || m.Kind == message.Response:
		return nil
	case m.Kind == message.Notification:
		return anyNotification
	}
	return &message.Message{Kind: m.Kind, ID: bytes.Clone(m.ID)}
}

var anyNotification = &message.Message{Kind: message.Notification}

// leave detaches a writer that goes before the end, and returns the number from which its
// client resumes, 0 if another writer receives by now. It is a number of its own: clients
// count it as progress. If there is something to write first, or nothing more will come, the
// writer stays.
func (s *stream) leave(w *writer) (number int64, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.writers); n > 0 && s.writers[n-1] == w {
		if s.ended || s.written < len(s.events) {
			return 0, false
		}
		s.next++
		number = s.next
	}
	s.writers = slices.DeleteFunc(s.writers, func(other *writer) bool { return other == w })
	s.wakeNewest()
	return number, true
}

// fail detaches a writer that could not write the event with that number, and gives
// back what it took from there on, save what another has taken since.
func (s *stream) fail(w *writer, number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers = slices.DeleteFunc(s.writers, func(other *writer) bool { return other == w })
	from := number - 1
	if n := len(s.writers); n > 0 && s.writers[n-1].seen > from {
		from = s.writers[n-1].seen
	}
	s.written = min(s.written, s.after(from))
	s.wakeNewest()
}

// settle lets go of what only the end of the call is interested in.
func (s *stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.msg = nil
}

// drop forgets a stream that nobody can come back to, and reports what no client has seen of
// it, once nobody reads it any more.
func (s *stream) drop() {
	s.mu.Lock()
	s.dropped = true
	lost := s.forsaken()
	s.mu.Unlock()
	for _, e := range lost {
		s.lost(e)
	}
}

// forsaken takes out of a stream what nobody will read any more. s.mu is held.
func (s *stream) forsaken() []event {
	if !s.dropped || len(s.writers) > 0 {
		return nil
	}
	lost := s.events[s.written:]
	s.events, s.written, s.bytes = nil, 0, 0
	return lost
}

// size is what the stream holds, in events and bytes.
func (s *stream) size() (events, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events), s.bytes
}

// open says whether more may come.
func (s *stream) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended
}
