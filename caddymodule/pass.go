package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/excerpt"
)

// pass gives an admitted call to the next handler. What mcp_stdio does for the calls that
// it carries is done here for those of any other handler.
func (o *OAuth) pass(w http.ResponseWriter, r *http.Request, p *passage, next caddyhttp.Handler) error {
	defer func() {
		if !p.settled {
			bridge.RecordPassed(o.audit, p.call)
		}
	}()
	if !o.openSession(r.Header, p.call) {
		p.settled = true
		refusal := answer.UnknownSession()
		refusal.Reason = "this user was not given the session by this gateway"
		o.refuse(w, p.call, refusal)
		return nil
	}
	if isStream(r, p.call) {
		return o.serveStream(w, r, p, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return o.cut(w, r, p, next)
		}))
	}
	return o.cut(w, r, p, next)
}

// cut lets the next handler answer, and withholds of its answer what the user may not see.
func (o *OAuth) cut(w http.ResponseWriter, r *http.Request, p *passage, next caddyhttp.Handler) error {
	settings := excerpt.Settings{Cut: o.withheldOf(r, p.call), Header: o.sessionBinder(p.call)}
	if settings.Cut == nil && settings.Header == nil {
		return next.ServeHTTP(w, r)
	}
	if settings.Cut != nil {
		readable(r.Header)
		settings.Report, settings.Refuse = o.reporter(p), o.refuser(p)
	}
	p.answer = excerpt.NewWriter(w, settings)
	return serveCut(p.answer, r, next)
}

// serveCut lets a handler write an answer that is cut.
func serveCut(w *excerpt.Writer, r *http.Request, next caddyhttp.Handler) (err error) {
	defer func() {
		if !w.Refused() {
			return
		}
		// That is how reverse_proxy says that its answer was not taken. The client has
		// another, which gets its proper end.
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler {
			panic(fault)
		}
		err = nil
	}()
	if err = next.ServeHTTP(w, r); err != nil {
		return err
	}
	_ = w.Close() // the client has gone: there is nobody to tell
	return nil
}

// refuser answers in place of the server behind.
func (o *OAuth) refuser(p *passage) func(http.ResponseWriter, *answer.Refusal) {
	return func(w http.ResponseWriter, refusal *answer.Refusal) {
		p.settled = true
		o.refuse(w, p.call, refusal)
	}
}

// reporter logs what was withheld because it could not be read: the first of a stream, for
// there may be many.
func (o *OAuth) reporter(p *passage) func(reason string) {
	told := false
	return func(reason string) {
		if !told {
			o.log.Warn("withheld from the client", "request_id", p.call.RequestID, "reason", reason, "user", p.call.Principal.User)
		}
		told = true
	}
}

// readable asks for an answer that can be read here: whole and not compressed. To compress it
// is for encode, which stands in front and has read these fields before.
func readable(h http.Header) {
	h.Set("Accept-Encoding", "identity")
	h.Del("Range")
	h.Del("If-Range")
}
