package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
)

// serveForgetful has a chain answer a request, and keeps what is secret in the answer from the access
// log. An error of the chain may be for Caddy to answer: toAnswer tells which it answers, or nil.
func serveForgetful(chain caddyhttp.Handler, w http.ResponseWriter, r *http.Request, toAnswer func(error) error) (err error) {
	record, ok := w.(caddyhttp.ResponseRecorder)
	if !ok {
		return chain.ServeHTTP(w, r) // no access log
	}
	broken := true // by a panic: nothing is sent any more
	defer func() {
		answered := err
		if err != nil {
			answered = toAnswer(err)
		}
		send := func(begin func()) {
			forgetSecrets(w.Header(), func() {
				begin()
				answer.Sent(w, r)
			})
		}
		switch {
		case begun(record):
			send(func() {})
		case broken:
			forgetSecrets(w.Header(), func() {})
		case answered != nil:
			send(func() { w.WriteHeader(statusOf(answered)) })
		case err == nil: // so net/http begins it, and the entry has no status
			send(func() { beneath(record).WriteHeader(http.StatusOK) })
		}
	}()
	err = chain.ServeHTTP(w, r)
	broken = false
	return err
}

// beneath is what a recorder writes to.
func beneath(w caddyhttp.ResponseRecorder) http.ResponseWriter {
	if inner, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return inner.Unwrap()
	}
	return w
}

// begun says whether an answer's headers are to be sent, which a handler need not see to for one
// without a body.
func begun(w caddyhttp.ResponseRecorder) bool {
	return w.Status() >= http.StatusOK || w.Status() == http.StatusSwitchingProtocols
}

// forgetSecrets takes what is secret out of an answer's headers once they have been sent, where
// an access log reads them. An answer that nobody has begun would be later, with the headers that
// are there: so it is begun here. An id in a trailer is not sent either way: it would be logged
// before.
func forgetSecrets(h http.Header, send func()) {
	shown := http.Header{}
	for name, values := range h {
		if namesSession(strings.TrimPrefix(name, http.TrailerPrefix)) {
			shown[name] = nil
		} else if without := withoutAnyTokens(values); without != nil {
			shown[name] = without
		}
	}
	if len(shown) == 0 {
		return
	}
	send()
	for name, values := range shown {
		if h[name] = values; values == nil {
			delete(h, name)
		}
	}
}
