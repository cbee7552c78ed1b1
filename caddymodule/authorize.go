package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
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

// authorize checks the scopes of a call, and says what of a list its caller may see, and what
// resources they hear of.
func (o *OAuth) authorize(call *admission.Call) *answer.Refusal {
	call.Principal = o.grants.principal(call.Principal)
	refusal := o.judge(call, call.About)
	if refusal == nil && o.cutsListOf(call.Method()) {
		call.Visible = o.visibleTo(call.Principal)
	}
	if refusal == nil && o.policy.Filters(policy.KindResource) {
		call.Hears = o.visibleTo(call.Principal)
	}
	if call.Message == nil {
		call.Judge = func(about policy.Request) *answer.Refusal { return o.judge(call, about) }
		call.Sees = func(method string) visibility.Func {
			if !o.cutsListOf(method) {
				return nil
			}
			return o.visibleTo(call.Principal)
		}
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

// cutsListOf says whether a method asks for one of the lists that are cut.
func (o *OAuth) cutsListOf(method string) bool {
	list, ok := visibility.ListOf(method)
	return ok && slices.Contains(o.cuts, list)
}

// withheldOf says what of the answer to a request is withheld where no mcp_stdio sees to that;
// nil if there is nothing that a rule could hide. Both lists and reports of resources are looked
// for in all answers: a client that resumes a stream by GET gets the results of others, and of
// two requests with one id some servers give the result of the one in answer to the other.
func (o *OAuth) withheldOf(r *http.Request, call *admission.Call) *excerpt.Cut {
	updates := o.policy.Filters(policy.KindResource)
	if r.Method == http.MethodDelete || !updates && len(o.cuts) == 0 {
		return nil
	}
	cut := &excerpt.Cut{Lists: o.cuts, Updates: updates}
	if m := call.Message; m != nil && m.Kind == message.Request {
		cut.ID = m.ID
	}
	cut.Visible = o.visibleTo(call.Principal)
	return cut
}

// visibleTo says what a principal may use.
func (o *OAuth) visibleTo(p *oauth.Principal) visibility.Func {
	granted := p.Scopes
	return func(kind, name string) bool { return o.policy.Visible(kind, name, granted) }
}

// cutLists are the lists of which there may be entries that are not shown to all.
func (o *OAuth) cutLists() (lists []visibility.List) {
	for _, list := range visibility.Lists() {
		if o.Scopes.filters() && o.policy.Filters(list.Kind) {
			lists = append(lists, list)
		}
	}
	return lists
}
