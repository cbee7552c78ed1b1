package caddymodule

import (
	"net/http"
	"slices"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/sessionid"
)

// sessions binds the sessions of servers behind a proxy to their users. It is of the process,
// so that no reload ends one.
var sessions = sessionid.New()

// sessionOwner is who may use a session that is given out on a call. The scopes and the
// lifetime of a token are no part of it: a refresh ends no session.
func sessionOwner(call *admission.Call) sessionid.Owner {
	p := call.Principal
	return sessionid.Owner{Resource: call.Resource, Issuer: p.Issuer, Claim: p.SubjectClaim, Subject: p.Subject}
}

// binds says whether sessions may have to be bound here. Those of an mcp_stdio are its own. If
// one comes next there can be no others; if handlers stand between, each answer shows whose it is.
func (o *OAuth) binds() bool { return !o.BindSessionsOff && !o.carried }

// openSession puts the server's own session id in the place of the one that was bound to the
// user. It reports false if the id is of no session that this user was given.
func (o *OAuth) openSession(h http.Header, call *admission.Call) bool {
	if !o.binds() {
		return true
	}
	for name := range h {
		if plain := plainName(name); plain != name && plain == protocol.HeaderSession {
			delete(h, name)
		}
	}
	bound := h.Get(protocol.HeaderSession)
	h.Del(protocol.HeaderSession)
	if bound == "" {
		return true
	}
	id, ok := sessions.Open(sessionOwner(call), bound)
	if ok {
		h.Set(protocol.HeaderSession, id)
	}
	// A modern request has no session, whatever its header says (MCP 2026-07-28). One that an
	// mcp_stdio has given out is in the call, from where that reads it. Should the request come
	// to a proxy all the same, it has none there.
	return ok || call.Era == protocol.Modern || slices.ContainsFunc(o.carriers, func(s *Stdio) bool { return s.knows(call) })
}

// sessionBinder binds the session id in the header of an answer; nil if none is bound.
func (o *OAuth) sessionBinder(call *admission.Call) func(http.Header) {
	if !o.binds() {
		return nil
	}
	return func(h http.Header) {
		if id := h.Get(protocol.HeaderSession); id != "" {
			h.Set(protocol.HeaderSession, sessions.Bind(sessionOwner(call), id))
		}
	}
}
