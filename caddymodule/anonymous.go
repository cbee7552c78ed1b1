package caddymodule

import (
	"net"
	"net/http"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Values of [Stdio.Anonymous].
const (
	anonymousLoopback = "loopback"
	anonymousPublic   = "public"
)

// admitAnonymous admits a request without asking who sends it. It returns nil once the
// request is answered.
func (s *Stdio) admitAnonymous(w http.ResponseWriter, r *http.Request) *admission.Call {
	if s.Anonymous == anonymousLoopback && (s.exposed || !localRequest(r) || forwarded(r)) {
		refusal := answer.New(http.StatusForbidden, protocol.CodeInvalidRequest, "Forbidden: this endpoint serves its own machine only")
		s.refuse(w, &admission.Call{RequestID: requestID(r)}, refusal)
		return nil
	}
	call, refusal := s.gate.Admit(w, r)
	if call == nil {
		return nil
	}
	call.RequestID, call.Rule = requestID(r), "anonymous"
	handOver(r, call, false)
	if refusal != nil {
		s.refuse(w, call, refusal)
		return nil
	}
	return call
}

func (s *Stdio) refuse(w http.ResponseWriter, call *admission.Call, refusal *answer.Refusal) {
	bridge.Refuse(w, call, refusal, s.log, s.settings.Audit)
}

// forwarded says whether a proxy brings the request: then it need not be from here, though
// its connection is.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// localRequest says whether a connection came in on a loopback address or a Unix socket.
func localRequest(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	if addr.Network() == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(addr.String())
	return err == nil && oauth.IsLoopback(host)
}
