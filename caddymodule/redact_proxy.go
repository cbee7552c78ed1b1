package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi"
)

// proxy is a reverse_proxy whose own log has no secrets. It is a copy that has all in common
// with the one that Caddy has provisioned, and will clean up, but the transport. Of the timer that
// stream_close_delay sets at the clean-up it knows nothing: that fires, though there may be no
// stream left to close.
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
		r.reveal(other.HandleResponse)
		return &redactedProxy{Handler: &other}
	}
	return &other // the headers of answers are logged at DEBUG only
}

// reveal has routes for answers, which are the proxy's own, begin with revealing. A response
// handler without routes only changes the status.
func (r *rerouting) reveal(responses []caddyhttp.ResponseHandler) {
	for i := range responses {
		first := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{revealing{}}}
		if err := first.ProvisionHandlers(r.ctx, nil); err != nil { // which has no module to load
			r.logger.Error("at the level DEBUG routes for answers see marks in place of secrets", "error", err)
			return
		}
		responses[i].Routes = append(caddyhttp.RouteList{first}, responses[i].Routes...)
	}
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
	if response.Body != nil && response.Body != http.NoBody && response.StatusCode != http.StatusSwitchingProtocols {
		response.Body = answerBody{response.Body}
	}
	return response, nil
}

// Interface guards
var (
	_ reverseproxy.ProxyProtocolTransport         = (*redactedHTTP)(nil)
	_ reverseproxy.TLSTransport                   = (*redactedHTTP)(nil)
	_ reverseproxy.ProxyProtocolTransport         = (*redactedTransport)(nil)
	_ reverseproxy.ContentLengthRequiredTransport = (*redactedTransport)(nil)
)
