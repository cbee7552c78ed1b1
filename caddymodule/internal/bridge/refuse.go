package bridge

import (
	"net/http"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// refuse answers a call that goes no further, and logs once why.
func refuse(w http.ResponseWriter, call *admission.Call, settings *Settings, refusal *answer.Refusal) {
	record(call, settings, refusal)
	call.Refuse(w, refusal)
}

// record says in log and audit why a call goes no further.
func record(call *admission.Call, settings *Settings, refusal *answer.Refusal) {
	settings.Logger.Info("refused", Refused(call, refusal)...)
	RecordRefusal(settings.Audit, call, refusal)
}

// Refused are the attributes of a log entry that says why a request was refused: never
// anything of the token but the name of the claim that was wrong, nor a session's id.
func Refused(call *admission.Call, refusal *answer.Refusal) []any {
	attrs := []any{"request_id", call.RequestID, "status", refusal.Status, "reason", clipped(refusal.Error()), "method", audit.Clip(call.Method())}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, name, value)
		}
	}
	add("tool", audit.Clip(call.Tool()))
	add("claim", refusal.Claim)
	add("rule", call.Rule)
	add("missing", strings.Join(refusal.Missing, " "))
	if p := call.Principal; p != nil {
		add("user", p.User)
		add("client", p.ClientID)
	}
	return attrs
}

// clipped bounds a reason, in which a part of a request may be quoted.
func clipped(reason string) string {
	const most = 1 << 10 // bytes
	if len(reason) <= most {
		return reason
	}
	return strings.ToValidUTF8(reason[:most], "") + "…"
}

// RecordRefusal writes a call that the gateway answered itself. Requests only: what
// is no call is no record.
func RecordRefusal(log *audit.Log, call *admission.Call, refusal *answer.Refusal) {
	if call.Message == nil || call.Message.Kind != message.Request {
		return
	}
	record := newRecord(call)
	record.Outcome, record.Code = audit.Refused, refusal.Code
	if refusal.Status == http.StatusForbidden {
		record.Decision = audit.Deny
	}
	log.Write(record)
}
