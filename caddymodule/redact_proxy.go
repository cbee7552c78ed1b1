package caddymodule

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// coveredVar is the variable of a request by which handlers know that its secrets must not be
// logged.
const coveredVar = "mcp_redacted"

func cover(r *http.Request) { caddyhttp.SetVar(r.Context(), coveredVar, true) }

func covered(r *http.Request) bool {
	on, _ := caddyhttp.GetVar(r.Context(), coveredVar).(bool)
	return on
}

// logsCredentials says whether log_credentials is written for the server that a request is at.
func logsCredentials(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Logs != nil && server.Logs.ShouldLogCredentials
}

// forgetSession takes the session's id out of an answer's headers, where an access log reads
// them. They must have been sent, which a handler need not do for an answer without a body.
func forgetSession(w http.ResponseWriter) {
	if record, ok := w.(caddyhttp.ResponseRecorder); ok && (record.Status() >= http.StatusOK || record.Status() == http.StatusSwitchingProtocols) {
		for name := range w.Header() {
			if namesSession(name) {
				delete(w.Header(), name)
			}
		}
	}
}

// namesSession says whether a server may mean the session's id by a field's name.
func namesSession(name string) bool {
	if name = strings.TrimSpace(name); len(name) != len(protocol.HeaderSession) {
		return false
	}
	return strings.EqualFold(strings.ReplaceAll(name, "_", "-"), protocol.HeaderSession)
}

// conceal puts the mark in place of the secrets in a request that is to be logged only. The
// maps and the URL that it shares with others are left as they are.
func (d *redactor) conceal(r *http.Request) {
	names := d.headers
	if logsCredentials(r) {
		names = slices.Concat(names, credentialHeaders)
	}
	shown := http.Header{}
	for _, name := range names {
		if len(r.Header[name]) > 0 {
			shown[name] = []string{redacted}
		}
	}
	// By this field forward_auth tells of the request.
	if uri := r.Header.Get(forwardedURI); uri != withoutTokens(uri) {
		shown.Set(forwardedURI, withoutTokens(uri))
	}
	if len(shown) > 0 {
		r.Header = maps.Clone(r.Header)
		maps.Copy(r.Header, shown)
	}
	r.RequestURI = withoutTokens(r.RequestURI)
}

const forwardedURI = "X-Forwarded-Uri"

// withoutTokens is a URI with the mark in place of tokens in its query.
func withoutTokens(uri string) string {
	path, query, _ := strings.Cut(uri, "?")
	query, found := oauth.RedactQuery(query, redacted)
	if !found {
		return uri
	}
	return path + "?" + query
}

// proxy is a reverse_proxy whose own log has no secrets. It is a copy that has all in common
// with the one that Caddy has provisioned, and will clean up, but the transport.
//
// Caddy gives the transport a request of its own for each attempt, and logs that one afterwards:
// in an entry at DEBUG, and with each warning. So the transport is where the request can be
// parted from what is logged of it. Before, its headers choose the upstream and fill in
// header_up, and must be true.
func (r *rerouting) proxy(h *reverseproxy.Handler) caddyhttp.MiddlewareHandler {
	other := *h
	other.HandleResponse, _ = r.responses(h.HandleResponse)
	other.Transport = r.transport(h.Transport)
	if t, ok := h.Transport.(*fastcgi.Transport); ok && (t.CaptureStderr || r.debugs(t)) {
		r.logger.Warn("the transport fastcgi logs requests with the ids of sessions in them: let a filter of the log take them out, or write neither debug nor capture_stderr")
	}
	if r.debugs(h) {
		return &redactedProxy{Handler: &other}
	}
	return &other // the headers of answers are logged at DEBUG only
}

// transport is what takes a transport's place.
func (r *rerouting) transport(t http.RoundTripper) http.RoundTripper {
	if t, ok := t.(*reverseproxy.HTTPTransport); ok {
		return &redactedHTTP{HTTPTransport: t, redactor: r.redactor}
	}
	return &redactedTransport{RoundTripper: t, redactor: r.redactor}
}

// redactedHTTP is Caddy's own transport, with all else that Caddy asks of it.
type redactedHTTP struct {
	*reverseproxy.HTTPTransport
	redactor *redactor
}

func (t *redactedHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.redactor.roundTrip(t.HTTPTransport, r)
}

// redactedTransport is any other, with what Caddy asks of one while it serves.
type redactedTransport struct {
	http.RoundTripper
	redactor *redactor
}

func (t *redactedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.redactor.roundTrip(t.RoundTripper, r)
}

func (t *redactedTransport) ProxyProtocolEnabled() bool {
	inner, ok := t.RoundTripper.(reverseproxy.ProxyProtocolTransport)
	return ok && inner.ProxyProtocolEnabled()
}

func (t *redactedTransport) RequiresContentLength() bool {
	inner, ok := t.RoundTripper.(reverseproxy.ContentLengthRequiredTransport)
	return ok && inner.RequiresContentLength()
}

// roundTrip sends a request as it is, and leaves one without secrets for the log. The caller's
// request is of this attempt only; another attempt begins with the true headers again.
func (d *redactor) roundTrip(transport http.RoundTripper, r *http.Request) (*http.Response, error) {
	if !covered(r) {
		return transport.RoundTrip(r)
	}
	sent := r.WithContext(r.Context())
	d.conceal(r)
	response, err := transport.RoundTrip(sent)
	if err != nil {
		return response, withoutLine(err)
	}
	if a, ok := r.Context().Value(proxiedAnswerKey{}).(*proxiedAnswer); ok {
		a.conceal(response.Header)
	}
	return response, nil
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

// redactedProxy is a reverse_proxy that logs the headers of answers, without the session's id.
type redactedProxy struct {
	*reverseproxy.Handler
}

func (p *redactedProxy) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !covered(r) {
		return p.Handler.ServeHTTP(w, r, next)
	}
	a := &proxiedAnswer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	defer a.reveal()
	return p.Handler.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), proxiedAnswerKey{}, a)), next)
}

// proxiedAnswerKey is where the transport finds the proxiedAnswer.
type proxiedAnswerKey struct{}

// proxiedAnswer is the ResponseWriter of a proxy. What the transport conceals for the proxy's
// log it puts back before anything is written to the client.
type proxiedAnswer struct {
	*caddyhttp.ResponseWriterWrapper
	concealed http.Header // the session's id, in whatever spelling
}

func (a *proxiedAnswer) conceal(h http.Header) {
	a.concealed = http.Header{} // forgets an earlier attempt
	for name, values := range h {
		if namesSession(name) {
			a.concealed[name] = values
			h[name] = slices.Repeat([]string{redacted}, len(values))
		}
	}
}

// reveal puts the ids where their marks are: the proxy may have been told to leave them out.
// Of several marks the last are its own. A proxy that this one stands in has written the first.
func (a *proxiedAnswer) reveal() {
	h := a.Header()
	for name, values := range a.concealed {
		there := slices.Clone(h[name])
		for i, left := len(there)-1, len(values); i >= 0 && left > 0; i-- {
			if there[i] == redacted {
				left--
				there[i] = values[left]
			}
		}
		if there != nil {
			h[name] = there
		}
	}
	a.concealed = nil
}

// WriteHeader writes the answer's headers as they came. Those of an interim answer were not
// concealed, and come from a goroutine of the transport.
func (a *proxiedAnswer) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		a.reveal()
	}
	a.ResponseWriterWrapper.WriteHeader(status)
}

func (a *proxiedAnswer) Write(p []byte) (int, error) {
	a.reveal()
	return a.ResponseWriterWrapper.Write(p)
}

// ReadFrom copies a body.
func (a *proxiedAnswer) ReadFrom(r io.Reader) (int64, error) {
	a.reveal()
	return a.ResponseWriterWrapper.ReadFrom(r)
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler                 = (*redactedProxy)(nil)
	_ reverseproxy.ProxyProtocolTransport         = (*redactedHTTP)(nil)
	_ reverseproxy.TLSTransport                   = (*redactedHTTP)(nil)
	_ reverseproxy.ProxyProtocolTransport         = (*redactedTransport)(nil)
	_ reverseproxy.ContentLengthRequiredTransport = (*redactedTransport)(nil)
	_ interface{ Unwrap() http.ResponseWriter }   = (*proxiedAnswer)(nil)
)
