package bridge

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// Refuse answers a call that goes no further, and says once why, in the log and in the
// audit log, which may be nil.
func Refuse(w http.ResponseWriter, call *admission.Call, refusal *answer.Refusal, logger *slog.Logger, log *audit.Log) {
	noteRefusal(call, refusal, logger, log)
	call.Refuse(w, refusal)
}

func noteRefusal(call *admission.Call, refusal *answer.Refusal, logger *slog.Logger, log *audit.Log) {
	logger.Info("refused", refused(call, refusal)...)
	if call.Message == nil || call.Message.Kind != message.Request {
		return // what is no call is no record
	}
	record := newRecord(call)
	record.Outcome, record.Code = audit.Refused, refusal.Code
	if refusal.Status == http.StatusForbidden {
		record.Decision = audit.Deny
	}
	log.Write(record)
}

// refused are the attributes of a log entry that says why a request was refused: never
// anything of the token but the name of the claim that was wrong, nor a session's id.
func refused(call *admission.Call, refusal *answer.Refusal) []any {
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
