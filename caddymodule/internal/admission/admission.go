// Package admission takes one HTTP request of an MCP endpoint as far as it can be
// taken without the server behind: who sends it, whether it may, and the one message
// in its body.
//
// The order of the checks is part of the design. Nothing is read of the body before
// the token is good, and nothing is started before the call is authorized:
//
//	early data · Host and Origin, preflight · token · HTTP method · content type and
//	encoding · body · message and era · scope
package admission

import (
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/timeout"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// Defaults of [Settings].
const (
	DefaultMaxBody     = 4 << 20 // bytes
	DefaultBodyTimeout = 30 * time.Second
)

// Settings say what a [Gate] lets in.
type Settings struct {
	// Resource is the canonical resource URI. Its host is ours, and its origin is
	// the one a browser may come from.
	Resource string
	// Origins are further origins that browsers may come from, as they write them
	// in the Origin header (RFC 6454 section 6.2).
	Origins []string
	// MaxBody bounds a request's body in bytes; 0 means [DefaultMaxBody].
	MaxBody int64
	// BodyTimeout bounds how long a body may take to arrive; 0 means
	// [DefaultBodyTimeout].
	BodyTimeout time.Duration

	// ClockSkew is how long a token is still good after its end.
	ClockSkew time.Duration

	// Authenticate says who sends the request, and may add to h, the header of the
	// answer. Nil lets in everyone, with no principal.
	Authenticate func(h http.Header, r *http.Request) (*oauth.Principal, *answer.Refusal)
	// Authorize says whether the principal may make the call and sets call.Rule, and
	// call.Visible and call.Hears if what is answered is to be filtered. Nil allows all.
	Authorize func(call *Call) *answer.Refusal
}

// Call is one admitted request.
type Call struct {
	Principal *oauth.Principal // nil if none is asked for
	Resource  string           // the resource it was admitted for
	Message   *message.Message // nil for GET and DELETE
	Era       protocol.Era
	Version   string         // as the request names it; "" for a legacy request without header
	SessionID string         // legacy
	About     policy.Request // what its message is about
	Rule      string         // the rule that decided about it
	RequestID string         // as the access log has it
	Bytes     int            // of the body
	Began     time.Time
	// GoodUntil is when the token has ended, clock skew included; zero without one. A call
	// that has begun may finish, a stream ends.
	GoodUntil time.Time

	// Afterwards is left to do when the answer is on its way, which it must not delay. It is
	// set by who carries the call; nil for nothing.
	Afterwards func()

	// Visible says whether the principal may use what the list that the call asks for names: a
	// tool or a prompt by its name, a resource by its URI or template. Nil if all is shown.
	Visible visibility.Func

	// Hears is the same of resources whose updates the principal is told of. They come on the
	// stream of a GET, of a subscription, and in sessions on that of any call. Nil if all are told.
	Hears visibility.Func

	// Judge says how another request of the same principal would be refused; nil if it would
	// not be. It is set for a GET, which may be for the answer to one. Nil allows all.
	Judge func(policy.Request) *answer.Refusal

	// Sees is what Visible would be on another request of the same principal, by its method.
	// It is set where Judge is. Nil shows all.
	Sees func(method string) visibility.Func
}

// Method is the JSON-RPC method; "" of a request without a body.
func (c *Call) Method() string {
	if c.Message == nil {
		return ""
	}
	return c.Message.Method
}

// Refuse writes a refusal as the answer to the call, by the id of its message if there is
// one.
func (c *Call) Refuse(w http.ResponseWriter, refusal *answer.Refusal) {
	var id []byte
	if c.Message != nil {
		id = c.Message.ID
	}
	refusal.Write(w, id)
}

// Tool is the name of the tool that is called, or "".
func (c *Call) Tool() string {
	if c.About.Kind == policy.KindTool {
		return c.About.Name
	}
	if c.Message == nil || c.Message.Method != message.MethodToolsCall {
		return ""
	}
	return c.Message.Name()
}

// Gate admits requests. It keeps none of them.
type Gate struct {
	settings Settings
	bodies   *timeout.Queue // of those that are being read
	ours     origin
	host     string // of ours, without a port
	origins  map[origin]bool
}

// New makes a gate. The error says which origin or resource is malformed.
func New(s Settings) (*Gate, error) {
	if s.MaxBody == 0 {
		s.MaxBody = DefaultMaxBody
	}
	if s.BodyTimeout == 0 {
		s.BodyTimeout = DefaultBodyTimeout
	}
	g := &Gate{settings: s, bodies: timeout.NewQueue(s.BodyTimeout), origins: map[origin]bool{}}
	if s.Resource != "" {
		ours, err := parseOrigin(s.Resource)
		if err != nil {
			return nil, err
		}
		g.ours, g.host = ours, hostname(ours.host)
	}
	for _, o := range s.Origins {
		if o == "*" {
			g.origins[anyOrigin] = true
			continue
		}
		parsed, err := parseStrict(o)
		if err != nil {
			return nil, err
		}
		g.origins[parsed] = true
	}
	return g, nil
}

// Admit takes the request through the checks. It returns the call, or, where it has
// answered the request itself because it asked for no more than that (a preflight),
// nil and nil. A refusal is returned with what is known of the call and is not yet
// written.
func (g *Gate) Admit(w http.ResponseWriter, r *http.Request) (*Call, *answer.Refusal) {
	call := &Call{Resource: g.settings.Resource, Began: time.Now()}
	// RFC 8470 section 5.2: a replayed 0-RTT request must not act. A proxy in front that took one
	// says so, by whatever value (section 5.1).
	if r.TLS != nil && !r.TLS.HandshakeComplete || r.Header[protocol.HeaderEarlyData] != nil {
		return call, answer.New(http.StatusTooEarly, protocol.CodeInvalidRequest, "Too early: send the request again once the TLS handshake is complete")
	}
	if refusal := g.checkHost(r); refusal != nil {
		return call, refusal
	}
	preflight, refusal := g.checkOrigin(w, r)
	if preflight || refusal != nil {
		if refusal == nil {
			call = nil
		}
		return call, refusal
	}
	if g.settings.Authenticate != nil {
		if call.Principal, refusal = g.settings.Authenticate(w.Header(), r); refusal != nil {
			return call, refusal
		}
		if p := call.Principal; p != nil {
			call.GoodUntil = p.Expires.Add(g.settings.ClockSkew)
		}
	}
	if refusal := checkMethod(r); refusal != nil {
		return call, refusal
	}
	if r.Method == http.MethodPost {
		if refusal := g.readMessage(w, r, call); refusal != nil {
			return call, refusal
		}
	}
	if refusal := checkEra(r, call); refusal != nil {
		return call, refusal
	}
	if g.settings.Authorize != nil {
		if refusal := g.settings.Authorize(call); refusal != nil {
			return call, refusal
		}
	}
	return call, nil
}

// checkMethod lets pass what the transport of either era has: POST, and GET and
// DELETE in the legacy one.
func checkMethod(r *http.Request) *answer.Refusal {
	version := r.Header.Get(protocol.HeaderVersion)
	modern := protocol.EraOf(version) == protocol.Modern
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodDelete:
		if modern {
			return notAllowed("POST")
		}
	default:
		if modern {
			return notAllowed("POST")
		}
		return notAllowed("GET, POST, DELETE")
	}
	for name, values := range r.Header {
		if len(values) > 1 && (name == protocol.HeaderLastEventID || len(name) > 4 && name[:4] == "Mcp-") {
			return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "The header %s stands in the request more than once", name)
		}
	}
	return checkAccept(r)
}

func notAllowed(allow string) *answer.Refusal {
	return answer.New(http.StatusMethodNotAllowed, protocol.CodeInvalidRequest, "Method not allowed: use %s", allow).With("Allow", allow)
}
