package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// Kinds of rules.
const (
	KindTool     = "tool"
	KindPrompt   = "prompt"
	KindResource = "resource"
	KindMethod   = "method"
)

// Kinds are the kinds there are, in the order in which they are named in errors.
func Kinds() []string { return []string{KindTool, KindPrompt, KindResource, KindMethod} }

// notifications is what their methods begin with.
const notifications = "notifications/"

// baseMethods need the base scopes alone.
var baseMethods = []string{"initialize", "server/discover", "ping"}

// targetMethods are those that are about something that rules name.
var targetMethods = []string{
	message.MethodToolsCall, message.MethodPromptsGet, message.MethodRead, message.MethodSubscribe, message.MethodUnsubscribe,
	message.MethodListen, message.MethodComplete,
}

// listMethods are those whose answers are filtered.
var listMethods = []string{message.MethodToolsList, message.MethodPromptsList, message.MethodResourcesList, message.MethodTemplatesList}

// knownMethods are those whose look-alikes are refused without a rule on them.
func knownMethods() []string { return slices.Concat(targetMethods, listMethods, baseMethods) }

func needsBaseOnly(method string) bool {
	return method == "" || slices.Contains(baseMethods, method) || strings.HasPrefix(method, notifications)
}

// Rule says what names of a kind need, or that nobody may use them.
type Rule struct {
	// Kind is "tool", "prompt", "resource" or "method".
	Kind string
	// Pattern is a name, or of a resource a URI, or a glob if it has a *.
	Pattern string
	// Scopes are needed beside the base scopes, all of them; none with Deny.
	Scopes []string
	// Deny refuses to everyone what the rule decides.
	Deny bool
}

// String is the rule without its scopes, as it stands in audit records.
func (r Rule) String() string {
	if r.Deny {
		return "deny " + r.Kind + " " + r.Pattern
	}
	return r.Kind + " " + r.Pattern
}

func (r Rule) validate() error {
	if !slices.Contains(Kinds(), r.Kind) {
		return fmt.Errorf("unknown kind of rule %q; there are: %s", r.Kind, strings.Join(Kinds(), ", "))
	}
	if err := checkPattern(r.Pattern); err != nil {
		return fmt.Errorf("%s rule %w", r.Kind, err)
	}
	if r.Kind == KindResource && withoutDots(r.Pattern) != r.Pattern {
		return fmt.Errorf("%q: has . or .. in its path, which servers resolve; write %s", r, withoutDots(r.Pattern))
	}
	if r.Kind == KindMethod && needsBaseOnly(r.Pattern) {
		return fmt.Errorf("%q: has no effect, since this method needs the base scopes alone", r)
	}
	if known := lookAlikeMethod(r); known != "" {
		return fmt.Errorf("%q: there is no such method; write %s", r, known)
	}
	switch {
	case r.Deny && len(r.Scopes) > 0:
		return fmt.Errorf("%q: must name no scopes; it refuses everyone", r)
	case !r.Deny && len(r.Scopes) == 0:
		return fmt.Errorf("%q: names no scope; write at least one, or deny", r)
	}
	if err := checkScopes(r.Scopes); err != nil {
		return fmt.Errorf("%q: %w", r, err)
	}
	return nil
}

// lookAlikeMethod returns the known method that a rule misspells, or "". Such a
// rule would make the method itself a look-alike.
func lookAlikeMethod(r Rule) string {
	if r.Kind != KindMethod {
		return ""
	}
	folded := fold(r.Pattern)
	for _, known := range knownMethods() {
		if folded == fold(known) && r.Pattern != known {
			return known
		}
	}
	return ""
}

// checkScopes holds the syntax of RFC 6749 section 3.3.
func checkScopes(scopes []string) error {
	for _, scope := range scopes {
		if scope == "" {
			return errors.New("a scope must not be empty")
		}
		for i := range len(scope) {
			if c := scope[i]; c <= 0x20 || c > 0x7e || c == '"' || c == '\\' {
				return fmt.Errorf("scope %q: has %q; a scope is of printable ASCII without space, quote and backslash (RFC 6749 section 3.3)", scope, scope[i:i+1])
			}
		}
	}
	return nil
}

// checkDuplicates refuses two rules on one pattern that differ: the second would
// never decide.
func checkDuplicates(rules []Rule) error {
	type subject struct{ kind, pattern string }
	seen := make(map[subject]Rule)
	for _, r := range rules {
		s := subject{r.Kind, r.Pattern}
		other, ok := seen[s]
		if !ok {
			seen[s] = r
			continue
		}
		if other.Deny != r.Deny || !sameScopes(other.Scopes, r.Scopes) {
			return fmt.Errorf("%q: contradicts the rule %q before it, which would always win", r, other)
		}
	}
	return nil
}

func sameScopes(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}
