package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/excerpt"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/identity"
)

// admittedKey is where mcp_oauth leaves the passage for the handlers behind it. Nothing
// outside this package can put anything there.
type admittedKey struct{}

// passage is an admitted call on its way through the handlers behind mcp_oauth. It is the
// context of its request, by which they find it.
type passage struct {
	context.Context
	call   *admission.Call
	body   stampedBody
	stream *stream         // of the answer, if that has no end of its own
	answer *excerpt.Writer // which cuts the answer, or nil
	// settled says that the call's audit record is written elsewhere.
	settled bool
}

// Value is what the context has by a key.
func (p *passage) Value(key any) any {
	if key == (admittedKey{}) {
		return p
	}
	return p.Context.Value(key)
}

func admitted(r *http.Request) *passage {
	p, _ := r.Context().Value(admittedKey{}).(*passage)
	return p
}

// carry takes the call over for mcp_stdio, which ends its streams itself, cuts its lists, has
// its own sessions and writes the audit record, since it knows more of all of these.
func (p *passage) carry() {
	p.settled = true
	if p.answer != nil {
		p.answer.Release()
	}
	if p.stream != nil {
		p.stream.release()
	}
}

// withheld are the header fields that nobody behind gets: credentials, what makes
// frameworks take a request for one of another method than was authorized, and what makes
// a proxy and its server leave HTTP (RFC 9110 section 7.8): past a switched connection
// everything would go that was never authorized, and long after the token.
var withheld = []string{
	"Authorization", "Dpop", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
	"Upgrade", "Http2-Settings",
}

// identityPrefix begins the names of header fields that might pass for an identity.
const identityPrefix = "X-Snapgate-"

// withhold removes fields of these names, in canonical form, and those that might pass for
// an identity. A server that keeps header fields in variables (RFC 3875 section 4.1.18) knows
// no difference between a hyphen and an underscore.
func withhold(h http.Header, names ...string) {
	for _, name := range names {
		delete(h, name)
	}
	for name := range h {
		plain := plainName(name)
		if strings.HasPrefix(plain, identityPrefix) || plain != name && slices.Contains(names, plain) {
			delete(h, name)
		}
	}
}

// plainName is the name in canonical form for which such a server takes a field's.
func plainName(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// withholdCopies removes an assertion from all other fields: a platform may send it twice, as
// Cloudflare Access does in a cookie. Other cookies stay.
func withholdCopies(h http.Header, assertion string) {
	if assertion == "" {
		return
	}
	copied := func(s string) bool { return strings.Contains(s, assertion) }
	for name, values := range h {
		if !slices.ContainsFunc(values, copied) {
			continue
		}
		var kept []string
		if name == "Cookie" {
			for _, value := range values {
				rest := slices.DeleteFunc(strings.Split(value, ";"), copied)
				if text := strings.TrimSpace(strings.Join(rest, ";")); text != "" {
					kept = append(kept, text)
				}
			}
		}
		if h[name] = kept; kept == nil {
			delete(h, name)
		}
	}
}

// handOver prepares the request for what stands behind: the call in the context, the
// placeholders, and none of the credentials.
func handOver(r *http.Request, call *admission.Call, authorized bool) *http.Request {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		setPlaceholders(repl, call)
	}
	withhold(r.Header, withheld...)
	if !authorized {
		return r
	}
	p := &passage{Context: r.Context(), call: call, body: stampedBody{call: call}}
	r = r.WithContext(p)
	// Those who read the body get what was authorized, with the identity in it, and nothing
	// where nothing was. mcp_stdio takes the message itself and never reads this.
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	r.Trailer = nil // of the body that was; some servers take its fields for headers
	r.Header.Del("Content-Length")
	if call.Message != nil {
		r.Body, r.ContentLength = &p.body, -1
	}
	return r
}

// stampedBody is the authorized message, made when somebody asks for it.
type stampedBody struct {
	call   *admission.Call
	reader *bytes.Reader
}

func (b *stampedBody) Read(p []byte) (int, error) {
	if b.reader == nil {
		edit := b.call.Message.Edit().DropMeta(identity.MetaPrefix)
		if principal := b.call.Principal; principal != nil && b.call.Message.Kind != message.Response {
			value, err := json.Marshal(principal.Identity(nil))
			if err != nil {
				return 0, err
			}
			edit.SetMeta(message.MetaValue{Key: identity.MetaKey, Value: value})
		}
		b.reader = bytes.NewReader(edit.Bytes())
	}
	return b.reader.Read(p)
}

func (b *stampedBody) Close() error { return nil }

// requestID is the id that Caddy's access log can show as {http.request.uuid}.
func requestID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	return id
}

var _ io.ReadCloser = (*stampedBody)(nil)
