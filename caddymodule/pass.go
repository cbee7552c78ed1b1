package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// pass gives an admitted call to the next handler. What mcp_stdio does for the calls that
// it carries is done here for those of any other handler.
func (o *OAuth) pass(w http.ResponseWriter, r *http.Request, p *passage, next caddyhttp.Handler) error {
	defer func() {
		if !p.settled {
			// The headers have been sent by then. Access logs read what remains, and a
			// session's id in a log would let its reader take part in it.
			w.Header().Del(protocol.HeaderSession)
			bridge.RecordPassed(o.audit, p.call)
		}
	}()
	if isStream(r, p.call) {
		return o.serveStream(w, r, p, next)
	}
	return next.ServeHTTP(w, r)
}
