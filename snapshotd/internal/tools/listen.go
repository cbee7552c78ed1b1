package tools

import (
	"context"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
)

// listenKey is the context key of the *watch of a subscriptions/listen. go-sdk carries
// the listen out and hands the context to what is called for it: the handlers of each
// resource, and the sending of the acknowledgement, which alone says what the id is.
type listenKey struct{}

// attach has a server tell what these subscriptions are told.
func (s *Subscriptions) attach(server *mcp.Server) {
	server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		s.send = next
		return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
			w, ok := ctx.Value(listenKey{}).(*watch)
			ack, is := request.GetParams().(*mcp.SubscriptionsAcknowledgedParams)
			if !ok || !is {
				return next(ctx, method, request)
			}
			result, err := next(ctx, method, request)
			s.opened(w, ack.Meta[mcp.MetaKeySubscriptionID])
			return result, err
		}
	})
}

// opened lets a listen be told of changes. Those since it came are told now: it has been
// acknowledged, which must be the first that it is told.
func (s *Subscriptions) opened(w *watch, id any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.listen, w.open = id, true
	s.plan(w)
}

// standing handles what clients subscribe to.
func (s *service) standing(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		switch r := request.(type) {
		case *mcp.SubscriptionsListenRequest:
			return s.listen(ctx, r, next)
		case *mcp.InitializedRequest:
			s.subscriptions.greet(r.Session)
		}
		return next(ctx, method, request)
	}
}

// greet enters a legacy session, whose client hears of changed lists unasked.
func (s *Subscriptions) greet(session *mcp.ServerSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions = map[*mcp.ServerSession]struct{}{}
	}
	s.sessions[session] = struct{}{}
}

// listen takes a subscriptions/listen. What the caller may not read or what is nothing
// that changes is left out, and the acknowledgement says so.
func (s *service) listen(ctx context.Context, request *mcp.SubscriptionsListenRequest, next mcp.MethodHandler) (mcp.Result, error) {
	asked := request.Params.Notifications
	if asked == nil {
		return next(ctx, "subscriptions/listen", request)
	}
	decision := s.authorize(ctx, request, policy.ScopeRead)
	granted := *asked
	granted.ResourcesListChanged = asked.ResourcesListChanged && decision.Authorized
	granted.ResourceSubscriptions = slices.DeleteFunc(slices.Clone(asked.ResourceSubscriptions), func(uri string) bool {
		return !decision.Authorized || !changes(uri)
	})
	request.Params.Notifications = &granted
	w := &watch{user: decision.UserID, session: request.Session, lists: granted.ResourcesListChanged, uris: map[string]bool{}}
	s.subscriptions.mu.Lock()
	s.subscriptions.add(w)
	s.subscriptions.mu.Unlock()
	defer func() {
		s.subscriptions.mu.Lock()
		defer s.subscriptions.mu.Unlock()
		s.subscriptions.remove(w)
		s.subscriptions.due = slices.DeleteFunc(s.subscriptions.due, func(other *watch) bool { return other == w })
	}()
	return next(context.WithValue(ctx, listenKey{}, w), "subscriptions/listen", request)
}

// subscribe is go-sdk's handler for each resource of a listen, and for resources/subscribe.
func (s *service) subscribe(ctx context.Context, request *mcp.SubscribeRequest) error {
	uri := request.Params.URI
	if w, ok := ctx.Value(listenKey{}).(*watch); ok {
		s.subscriptions.mu.Lock()
		defer s.subscriptions.mu.Unlock()
		w.uris[uri] = true
		return nil
	}
	decision := s.authorize(ctx, request, policy.ScopeRead)
	if !decision.Authorized {
		return protocolError(denial(decision))
	}
	if !changes(uri) {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "only " + latestURI + " and " + snapshotURI + "<id> can be subscribed to"}
	}
	s.subscriptions.mu.Lock()
	defer s.subscriptions.mu.Unlock()
	s.subscriptions.legacy(request.Session, decision.UserID).uris[uri] = true
	return nil
}

// unsubscribe is go-sdk's handler for resources/unsubscribe, and for the end of a listen,
// which takes its watch out itself.
func (s *service) unsubscribe(ctx context.Context, request *mcp.UnsubscribeRequest) error {
	if ctx.Value(listenKey{}) != nil {
		return nil
	}
	decision := s.authorize(ctx, request, policy.ScopeRead)
	if !decision.Authorized {
		return protocolError(denial(decision))
	}
	s.subscriptions.mu.Lock()
	defer s.subscriptions.mu.Unlock()
	w := s.subscriptions.legacy(request.Session, decision.UserID)
	if delete(w.uris, request.Params.URI); len(w.uris) == 0 && len(w.pending) == 0 {
		s.subscriptions.remove(w)
	}
	return nil
}
