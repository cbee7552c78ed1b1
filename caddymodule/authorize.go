package caddymodule

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// authorize checks the scopes of a call, and says what of a list its caller may see.
func (o *OAuth) authorize(call *admission.Call) *answer.Refusal {
	call.Principal = o.grants.principal(call.Principal)
	granted := call.Principal.Scopes
	refusal := o.judge(call, call.About)
	if refusal == nil && o.restricts(call) {
		call.Visible = func(kind, name string) bool { return o.policy.Visible(kind, name, granted) }
	}
	if call.Message == nil {
		call.Judge = func(about policy.Request) *answer.Refusal { return o.judge(call, about) }
	}
	return refusal
}

// judge checks the scopes that a request needs.
func (o *OAuth) judge(call *admission.Call, about policy.Request) *answer.Refusal {
	granted := call.Principal.Scopes
	decision := o.policy.Decide(about, granted)
	call.Rule = decision.Rule
	switch {
	case decision.Allowed:
		return nil
	case decision.Denied:
		refusal := answer.New(http.StatusForbidden, protocol.CodeInvalidRequest, "Forbidden")
		refusal.Reason = "refused by the rule: " + decision.Rule
		return refusal
	}
	refusal := o.challenge(&oauth.Error{
		Status: http.StatusForbidden, Code: oauth.CodeInsufficientScope, Scheme: call.Principal.Scheme(), Scope: o.policy.Ask(decision, granted),
		Description: "The token lacks a scope that this request needs",
		Reason:      fmt.Sprintf("the token lacks the scope %s (rule: %s)", strings.Join(decision.Missing, " "), decision.Rule),
	})
	refusal.Missing = decision.Missing
	return refusal
}

// restricts says whether what the server tells on a call, or because of it later, may be
// about things that the caller may not use: entries of a list, or updates of resources, which
// come on the streams of a GET as well.
func (o *OAuth) restricts(call *admission.Call) bool {
	method := call.Method()
	if call.Message == nil || method == message.MethodListen || method == message.MethodSubscribe {
		return o.policy.Filters(policy.KindResource)
	}
	kind := policy.ListedKind(method)
	return kind != "" && o.Scopes.filters() && o.policy.Filters(kind)
}
