package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// serveUnlogged is for a server without an access log. Only an error makes Caddy log a
// request then, so only with one it goes through the server again: for the error, since the
// handlers have seen it.
func (d *redactor) serveUnlogged(w http.ResponseWriter, r *http.Request, server *caddyhttp.Server) error {
	if !d.hasSecrets(r) {
		return d.chain.ServeHTTP(w, r)
	}
	var room [32]field // on the stack: most requests do not fail, and need no memory for this
	came, host := appendFields(room[:0], r.Header), r.Host
	err := d.chain.ServeHTTP(w, r)
	if err == nil {
		return nil
	}
	f := &failure{err: err, first: r, answer: maps.Clone(w.Header())}
	again := r.WithContext(context.WithValue(r.Context(), redactedKey{}, f))
	again.Header, again.Host = headerOf(came), host
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		again.Method, again.RemoteAddr, again.RequestURI, again.URL = original.Method, original.RemoteAddr, original.RequestURI, original.URL
	}
	f.secrets = d.take(again, false)
	serveAgain(server, w, again)
	return nil // the server has dealt with it
}

// field is one line of a header.
type field struct{ name, value string }

// appendFields copies a header as it is now. Handlers change a header in place, values too.
func appendFields(fields []field, h http.Header) []field {
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, field{name, value})
		}
	}
	return fields
}

// headerOf is the header that was copied.
func headerOf(fields []field) http.Header {
	h := make(http.Header, len(fields))
	for _, f := range fields {
		h[f.name] = append(h[f.name], f.value)
	}
	return h
}

// failure is what a request left when a handler failed.
type failure struct {
	err    error
	first  *http.Request
	answer http.Header // as far as it was prepared
	*secrets
}

// resume gives the routes for errors what they would have had, and returns the error.
func (f *failure) resume(w http.ResponseWriter, r *http.Request) error {
	clear(r.Header)
	maps.Copy(r.Header, f.first.Header)
	f.restoreURL(r)
	r.Host = f.first.Host
	header := w.Header()
	clear(header)
	maps.Copy(header, f.answer)
	first, ok := f.first.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if vars, there := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok && there {
		maps.Copy(vars, first)
	}
	known, ok := f.first.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if repl, there := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && there {
		repl.Map(known.Get)
	}
	return f.err
}

// statusOf is the status that an error is answered with.
func statusOf(err error) int {
	var fault caddyhttp.HandlerError
	if errors.As(err, &fault) && fault.StatusCode != 0 {
		return fault.StatusCode
	}
	return http.StatusInternalServerError
}

// settle answers an error in Caddy's place, which would log the request with it.
func settle(w http.ResponseWriter, err error, logger *slog.Logger) error {
	status := statusOf(err)
	logger.Error("what stands behind has failed", "status", status, "error", err)
	w.WriteHeader(status)
	return nil
}
