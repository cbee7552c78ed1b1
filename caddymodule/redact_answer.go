package caddymodule

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// redactedProxy is a reverse_proxy that logs the headers of answers, without what is secret.
type redactedProxy struct {
	*reverseproxy.Handler
}

func (p *redactedProxy) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !covered(r) {
		return p.Handler.ServeHTTP(w, r, next)
	}
	a := &proxiedAnswer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	a.repl, _ = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	defer a.reveal() // for the routes for errors
	return p.Handler.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), proxiedAnswerKey{}, a)), next)
}

// proxiedAnswerKey is where the transport finds the proxiedAnswer.
type proxiedAnswerKey struct{}

// proxiedAnswer is the ResponseWriter of a proxy. What the transport conceals for the proxy's
// log it puts back once the entry is written, before anything is done with the answer.
type proxiedAnswer struct {
	*caddyhttp.ResponseWriterWrapper
	repl *caddy.Replacer

	header    http.Header // which the proxy has
	concealed http.Header // what was in it
}

func (a *proxiedAnswer) conceal(h http.Header) {
	a.header, a.concealed = h, nil // forgets an earlier attempt
	for name, values := range h {
		shown := withoutAnyTokens(values)
		if namesSession(name) {
			shown = slices.Repeat([]string{redacted}, len(values))
		}
		if shown != nil {
			if a.concealed == nil {
				a.concealed = http.Header{}
			}
			a.concealed[name], h[name] = values, shown
		}
	}
}

func (a *proxiedAnswer) reveal() {
	for name, values := range a.concealed {
		a.header[name] = values
		if a.repl != nil {
			a.repl.Set("http.reverse_proxy.header."+name, strings.Join(values, ","))
		}
	}
	if a.concealed != nil { // or this may be the goroutine that has read an interim answer
		a.concealed = nil
	}
}

// Header is what a proxy asks for after its entry, and before it edits and copies the answer's
// header. Before the entry it does so for interim answers alone, in which nothing was concealed.
func (a *proxiedAnswer) Header() http.Header {
	a.reveal()
	return a.ResponseWriterWrapper.Header()
}

// revealing stands before the routes for answers of a redactedProxy, which does not ask for a
// header before them.
type revealing struct{}

func (revealing) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if a, ok := r.Context().Value(proxiedAnswerKey{}).(*proxiedAnswer); ok {
		a.reveal()
	}
	return next.ServeHTTP(w, r)
}

// answerBody is the body of an answer. Its errors quote lines of a trailer that cannot be read.
type answerBody struct{ io.ReadCloser }

func (b answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = withoutLine(err)
	}
	return n, err
}

// brokenAnswer is an error without the line of the answer for which it is one.
type brokenAnswer struct {
	error
	text string
}

func (b *brokenAnswer) Error() string { return b.text }
func (b *brokenAnswer) Unwrap() error { return b.error }

// withoutLine takes out of an error what a server wrote: net/http quotes lines of an answer that
// it cannot read, of which any may have been the header with the session's id.
func withoutLine(err error) error {
	text := err.Error()
	before, after, found := strings.Cut(text, "malformed ")
	if !found {
		return err
	}
	end := strings.IndexAny(after, ":\"")
	if end < 0 {
		return err
	}
	return &brokenAnswer{err, before + "malformed " + strings.TrimSpace(after[:end]) + ": " + redacted}
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler               = (*redactedProxy)(nil)
	_ caddyhttp.MiddlewareHandler               = revealing{}
	_ interface{ Unwrap() http.ResponseWriter } = (*proxiedAnswer)(nil)
)
