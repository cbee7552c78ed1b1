package tools

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const (
	resourceUpdated  = "notifications/resources/updated"
	resourcesChanged = "notifications/resources/list_changed"
)

// noticeTime is how long a client may take to accept a notification.
const noticeTime = 10 * time.Second

// Subscriptions tell clients what has changed. Where many users share a session, as
// behind the gateway, each change is told to the one user whose it is: to that user's
// listens in the protocol of 2026-07-28, and before that by a stamp on the notification
// ([identity.UpdateKey]). go-sdk's own registry knows sessions and no users, and one
// listen of each session, so it is not used for this.
//
// The zero value is ready, for one server.
type Subscriptions struct {
	logger *slog.Logger
	send   mcp.MethodHandler // by go-sdk's own rules

	mu       sync.Mutex
	watches  map[string][]*watch             // by user
	sessions map[*mcp.ServerSession]struct{} // of legacy versions, which hear of lists unasked
	due      []*watch                        // with something pending, and acknowledged
	telling  bool                            // whether tell runs
	closed   bool
	work     sync.WaitGroup
}

// watch is what one user asked to hear of: in one listen, or by all subscribe requests in
// one legacy session. It belongs to Subscriptions.mu.
type watch struct {
	user    string
	session *mcp.ServerSession
	listen  any // the subscription id of a listen, nil in a legacy session
	lists   bool
	uris    map[string]bool
	open    bool     // whether the client has been told that it is listening
	pending []string // URIs that changed; "" for the list
	ended   bool
}

// Changed takes a change of a user's snapshots. It is quick: clients are told by another
// goroutine. Changes of one thing that nobody has been told of yet are told once.
func (s *Subscriptions) Changed(change store.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for session := range s.sessions {
		s.legacy(session, change.User)
	}
	uris := []string{"", latestURI}
	for _, ids := range [][]int64{change.Added, change.Replaced, change.Removed} {
		for _, id := range ids {
			uris = append(uris, uriOf(id))
		}
	}
	for _, w := range s.watches[change.User] {
		for _, uri := range uris {
			if (uri == "" && w.lists || w.uris[uri]) && !slices.Contains(w.pending, uri) {
				w.pending = append(w.pending, uri)
			}
		}
		s.plan(w)
	}
}

// legacy returns the user's watch in a legacy session, which hears of the list at least.
// The lock is held.
func (s *Subscriptions) legacy(session *mcp.ServerSession, user string) *watch {
	for _, w := range s.watches[user] {
		if w.session == session && w.listen == nil && w.open {
			return w
		}
	}
	w := &watch{user: user, session: session, lists: true, open: true, uris: map[string]bool{}}
	s.add(w)
	return w
}

// add enters a watch. The lock is held.
func (s *Subscriptions) add(w *watch) {
	if s.watches == nil {
		s.watches = map[string][]*watch{}
	}
	s.watches[w.user] = append(s.watches[w.user], w)
}

// remove takes a watch out. The lock is held.
func (s *Subscriptions) remove(w *watch) {
	w.ended = true
	left := slices.DeleteFunc(s.watches[w.user], func(other *watch) bool { return other == w })
	if s.watches[w.user] = left; len(left) == 0 {
		delete(s.watches, w.user)
	}
}

// plan has what is pending told. The lock is held.
func (s *Subscriptions) plan(w *watch) {
	if !w.open || len(w.pending) == 0 || s.closed {
		return
	}
	if !slices.Contains(s.due, w) {
		s.due = append(s.due, w)
	}
	if !s.telling {
		s.telling = true
		s.work.Go(s.tell)
	}
}

// tell sends what is due and ends when nothing is.
func (s *Subscriptions) tell() {
	for {
		s.mu.Lock()
		if len(s.due) == 0 || s.closed {
			s.telling = false
			s.mu.Unlock()
			return
		}
		w := s.due[0]
		s.due = s.due[1:]
		pending := w.pending
		w.pending = nil
		if w.listen == nil && len(w.uris) == 0 {
			s.remove(w) // it was made for this change of the list
		}
		s.mu.Unlock()
		for _, uri := range pending {
			if err := s.notify(w, uri); err != nil {
				s.logger.Debug("a client was not told of a change", "error", err)
				s.forget(w)
				break
			}
		}
	}
}

// notify sends one notification.
func (s *Subscriptions) notify(w *watch, uri string) error {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTime)
	defer cancel()
	meta := mcp.Meta{}
	if w.listen != nil {
		meta[mcp.MetaKeySubscriptionID] = w.listen
	}
	if w.user != "" {
		meta[identity.UpdateKey] = w.user
	}
	if uri == "" {
		params := &mcp.ResourceListChangedParams{Meta: meta}
		_, err := s.send(ctx, resourcesChanged, &mcp.ServerRequest[*mcp.ResourceListChangedParams]{Session: w.session, Params: params})
		return err
	}
	params := &mcp.ResourceUpdatedNotificationParams{Meta: meta, URI: uri}
	_, err := s.send(ctx, resourceUpdated, &mcp.ServerRequest[*mcp.ResourceUpdatedNotificationParams]{Session: w.session, Params: params})
	return err
}

// forget takes out whatever goes to a session that cannot be written to any more.
func (s *Subscriptions) forget(gone *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, gone.session)
	for _, watches := range s.watches {
		for _, w := range slices.Clone(watches) {
			if w.session == gone.session {
				s.remove(w)
			}
		}
	}
	s.due = slices.DeleteFunc(s.due, func(w *watch) bool { return w.ended })
}

// Close ends the telling, and waits until what is being sent is sent, or noticeTime.
func (s *Subscriptions) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTime): // standard output takes nothing: it ends with the process
	}
}

// closeTime is how long Close waits.
const closeTime = time.Second

func uriOf(id int64) string { return snapshotURI + strconv.FormatInt(id, 10) }
