// Package mcpidentity is a middleware for servers written with
// github.com/modelcontextprotocol/go-sdk that stand behind the Snapgate gateway: it
// puts the verified user of each message into the context, and refuses messages that
// have none.
//
//	server.AddReceivingMiddleware(mcpidentity.New(mcpidentity.Options{
//		Scopes: map[string][]string{"add_note": {"notes:write"}, "*": {"notes:read"}},
//	}))
//
// A handler then asks [identity.FromContext] who calls.
//
// It is for stdio, and for HTTP where nobody but a Caddy with mcp_oauth can reach the
// port. Without the gateway in front, any client can write what this believes.
package mcpidentity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
)

// DefaultGrace is how long after the end of its token a message is still let in. The
// gateway has verified the token when it forwarded the message; the grace covers the
// clock skew that it allows and the time that a message may spend in the pipe.
const DefaultGrace = 2 * time.Minute

// Options say whom the middleware lets in. The zero value lets in every verified
// user, for every tool.
type Options struct {
	// Open names methods that are served without an identity as well, beside those
	// that the gateway sends in its own name ([Own]). "tools/list" may be one. With
	// an identity that is there they are treated as any other.
	Open []string

	// Scopes says by the name of a tool which scopes a call of it needs, all of them.
	// "*" stands for all tools that are not named, also those that do not exist.
	Scopes map[string][]string

	// Grace is added to the end of the token. Default [DefaultGrace]; a negative one
	// lets in expired identities, as where the clock cannot be relied on.
	Grace time.Duration

	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Own are the methods that the gateway sends in its own name and thus without an
// identity: its handshakes, and what stands for all users of a process.
func Own() []string {
	return []string{
		"initialize", "notifications/initialized", "server/discover", "ping",
		"logging/setLevel", "notifications/cancelled",
	}
}

// New makes the middleware, for [mcp.Server.AddReceivingMiddleware].
//
// A request that is refused is answered with a JSON-RPC error: -32602, because
// something in its params is missing or wrong, with data that has an error of RFC
// 6750 section 3.1 and, if a scope is missing, the scopes that the call needs:
//
//	{"error": "insufficient_scope", "scope": "notes:read notes:write"}
//
// A notification that is refused is dropped. An identity that is there but not valid
// is refused for every method.
func New(options Options) mcp.Middleware {
	g := gate{
		open:   append(Own(), options.Open...),
		scopes: options.Scopes,
		grace:  options.Grace,
		now:    options.Now,
	}
	if g.grace == 0 {
		g.grace = DefaultGrace
	}
	if g.now == nil {
		g.now = time.Now
	}
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
			id, err := g.admit(method, request.GetParams())
			if err != nil {
				return nil, err
			}
			// A nil one hides what a surrounding context may carry.
			return next(identity.NewContext(ctx, id), method, request)
		}
	}
}

type gate struct {
	open   []string
	scopes map[string][]string
	grace  time.Duration
	now    func() time.Time
}

// admit returns whose message it is, nil for one that needs nobody.
func (g *gate) admit(method string, params mcp.Params) (*identity.Identity, error) {
	id, err := identity.FromMeta(metaOf(params))
	switch {
	case errors.Is(err, identity.ErrMissing) && slices.Contains(g.open, method):
		return nil, nil
	case errors.Is(err, identity.ErrMissing):
		return nil, refusal("invalid_request", nil, "%s: %v", method, err)
	case err != nil:
		// What was wrong with it is nothing that a client could mend, or should repeat.
		return nil, refusal("invalid_token", nil, "%s: %v", method, identity.ErrInvalid)
	case g.grace >= 0 && id.Expired(g.now().Add(-g.grace)):
		return nil, refusal("invalid_token", nil, "%s: the token behind the request has expired", method)
	}
	if call, ok := params.(*mcp.CallToolParamsRaw); ok {
		needed := g.needed(call.Name)
		if missing := id.MissingScopes(needed...); missing != nil {
			return nil, refusal("insufficient_scope", needed, "this call needs the scope %s", strings.Join(missing, " "))
		}
	}
	return id, nil
}

func (g *gate) needed(tool string) []string {
	if scopes, ok := g.scopes[tool]; ok {
		return scopes
	}
	return g.scopes["*"]
}

// metaOf reads _meta. Params that a message lacks are a nil pointer in an interface.
func metaOf(params mcp.Params) map[string]any {
	if value := reflect.ValueOf(params); !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil() {
		return nil
	}
	return params.GetMeta()
}

func refusal(code string, scopes []string, format string, args ...any) error {
	data, err := json.Marshal(struct {
		Error string `json:"error"`
		Scope string `json:"scope,omitempty"`
	}{code, strings.Join(scopes, " ")})
	if err != nil {
		panic("mcpidentity: two strings as JSON: " + err.Error())
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(format, args...), Data: data}
}
