package caddymodule

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/excerpt"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// authorize checks the scopes of a call, and says what of a list its caller may see.
func (o *OAuth) authorize(call *admission.Call) *answer.Refusal {
	call.Principal = o.grants.principal(call.Principal)
	granted := call.Principal.Scopes
	decision := o.policy.Decide(call.About, granted)
	call.Rule = decision.Rule
	switch {
	case decision.Allowed:
		if o.restricts(call) {
			call.Visible = func(kind, name string) bool { return o.policy.Visible(kind, name, granted) }
		}
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

// withheldOf says what of the answer to a request is withheld where no mcp_stdio sees to that;
// nil if there is nothing that no rule hides. What a server reports of resources may come on
// the stream of any request, and on that of a GET the results of all, where a client resumes
// what it has lost.
func (o *OAuth) withheldOf(r *http.Request, call *admission.Call) *excerpt.Cut {
	var id []byte
	var asked []visibility.List
	switch {
	case call.Message != nil && call.Message.Kind == message.Request:
		id = call.Message.ID
		if list, ok := visibility.ListOf(call.Message.Method); ok && o.cutsList(list) {
			asked = []visibility.List{list}
		}
	case call.Message == nil && r.Method == http.MethodGet:
		for _, list := range visibility.Lists() {
			if o.cutsList(list) {
				asked = append(asked, list)
			}
		}
	default:
		return nil // it has no answer
	}
	updates := o.policy.Filters(policy.KindResource)
	if len(asked) == 0 && !updates {
		return nil
	}
	granted := call.Principal.Scopes
	return &excerpt.Cut{ID: id, Lists: asked, Updates: updates, Visible: func(kind, name string) bool {
		return o.policy.Visible(kind, name, granted)
	}}
}

// cutsList says whether there may be entries of a list that are not shown to all.
func (o *OAuth) cutsList(l visibility.List) bool {
	return o.Scopes.filters() && o.policy.Filters(l.Kind)
}
