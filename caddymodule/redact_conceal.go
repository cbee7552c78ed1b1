package caddymodule

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// coveredVar is the variable of a request by which handlers know that its secrets must not be
// logged.
const coveredVar = "mcp_redacted"

// covering tells of a value whether the request's assertion stands in it, which a handler may
// have taken away. It is a function, so that no placeholder shows what it remembers.
type covering func(value string) bool

// cover has the handlers to come keep the secrets of a request out of what they log.
func (d *redactor) cover(r *http.Request) {
	var assertion []string
	for _, name := range d.headers[len(secretHeaders):] {
		assertion = append(assertion, r.Header[name]...)
	}
	caddyhttp.SetVar(r.Context(), coveredVar, copiesOf(assertion))
}

func covered(r *http.Request) bool {
	_, on := caddyhttp.GetVar(r.Context(), coveredVar).(covering)
	return on
}

// copiesOf recognizes the values in which an assertion stands once more: platforms send it in
// several fields. No assertion is so short that it may be a part of something else. The return
// value is nil if none is to be recognized.
func copiesOf(assertion []string) covering {
	const shortest = 32
	var secret []string
	for _, value := range assertion {
		if value = strings.TrimSpace(value); len(value) >= shortest {
			secret = append(secret, value)
		}
	}
	if secret == nil {
		return nil
	}
	return func(value string) bool {
		return slices.ContainsFunc(secret, func(s string) bool { return strings.Contains(value, s) })
	}
}

// in says whether one of a field's values has a copy.
func (c covering) in(values []string) bool { return c != nil && slices.ContainsFunc(values, c) }

// logsCredentials says whether log_credentials is written for the server that a request is at.
func logsCredentials(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Logs != nil && server.Logs.ShouldLogCredentials
}

// conceal puts the mark in place of the secrets in a request that is to be logged only. The
// maps and the URL that it shares with others are left as they are.
func (d *redactor) conceal(r *http.Request) {
	copied, _ := caddyhttp.GetVar(r.Context(), coveredVar).(covering)
	_, r.Header = d.shown(r.Header, copied, logsCredentials(r))
	r.RequestURI, _ = withoutTokens(r.RequestURI)
}

// shown is what may be seen of a request's header; the first return value is what may not. If
// that is nothing, the header itself may be seen.
func (d *redactor) shown(h http.Header, copied covering, credentials bool) (hidden, shown http.Header) {
	hide := func(name string, values, shows []string) {
		if hidden == nil {
			hidden, shown = http.Header{}, maps.Clone(h)
		}
		hidden[name], shown[name] = values, shows
	}
	for name, values := range h {
		switch {
		case len(values) == 0:
		case slices.Contains(d.headers, name), credentials && slices.Contains(credentialHeaders, name), copied.in(values):
			hide(name, values, []string{redacted})
		default:
			if without := withoutAnyTokens(values); without != nil {
				hide(name, values, without)
			}
		}
	}
	if hidden == nil {
		shown = h
	}
	return hidden, shown
}

// withoutAnyTokens is withoutTokens for the values of a field; nil if there is no token. It is
// for all fields: Referer has the address of a page, Location that of the next, and proxies tell
// an address in fields such as X-Forwarded-Uri.
func withoutAnyTokens(values []string) (without []string) {
	for i, value := range values {
		if shown, found := withoutTokens(value); found {
			if without == nil {
				without = slices.Clone(values)
			}
			without[i] = shown
		}
	}
	return without
}

// withoutTokens is an address, or a text in which one stands, with the mark in place of tokens in
// its query and fragment. The second return value says whether there is one.
func withoutTokens(uri string) (string, bool) {
	i := strings.IndexAny(uri, "?#")
	if i < 0 {
		return uri, false
	}
	query, found := oauth.RedactQuery(uri[i+1:], redacted)
	if !found {
		return uri, false
	}
	return uri[:i+1] + query, true
}

// namesSession says whether a server may mean the session's id by a field's name.
func namesSession(name string) bool {
	if name = strings.TrimSpace(name); len(name) != len(protocol.HeaderSession) {
		return false
	}
	return strings.EqualFold(strings.ReplaceAll(name, "_", "-"), protocol.HeaderSession)
}
