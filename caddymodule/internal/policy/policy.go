package policy

import (
	"fmt"
	"slices"
)

// Config is what a [Policy] is made from.
type Config struct {
	// Base are the scopes that every request needs.
	Base []string
	// Rules are in the order in which they were written.
	Rules []Rule
}

// Policy decides about requests. It does not change and is safe for concurrent
// use.
type Policy struct {
	base      []string
	tools     *ruleset
	methods   *ruleset
	supported []string
}

// New checks the rules and returns the policy. The error names the rule and says
// what is wrong with it.
func New(cfg Config) (*Policy, error) {
	if err := checkScopes(cfg.Base); err != nil {
		return nil, fmt.Errorf("scopes: base: %w", err)
	}
	for _, r := range cfg.Rules {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("scopes: %w", err)
		}
	}
	if err := checkDuplicates(cfg.Rules); err != nil {
		return nil, fmt.Errorf("scopes: %w", err)
	}
	p := &Policy{
		base:    appendMissing(nil, cfg.Base),
		tools:   compile(KindTool, cfg.Rules),
		methods: compile(KindMethod, cfg.Rules, knownMethods()...),
	}
	p.supported = p.base
	if len(p.base) == 0 {
		for _, r := range cfg.Rules {
			p.supported = appendMissing(p.supported, r.Scopes)
		}
	}
	return p, nil
}

// Request is what a policy decides about.
type Request struct {
	// Method is the JSON-RPC method; "" for a response of the client.
	Method string
	// Tool is params.name of tools/call. With other methods it has no meaning.
	Tool string
}

// Decision is whether a request may be made, and why.
type Decision struct {
	// Allowed says that it may.
	Allowed bool
	// Denied says that no scope would help: a deny rule, a look-alike, or a name of
	// more than 4 KiB.
	Denied bool
	// Missing are those of Needed that are not granted.
	Missing []string
	// Needed are all scopes that the request needs, the base scopes first, so that
	// one challenge can ask for all (RFC 6750 section 3). It must not be changed.
	Needed []string
	// Rule says what decided, for the audit record: "base", "tool delete_*",
	// "method tools/list", "deny tool x", "look-alike tool save_snapshot". If
	// scopes are missing it is the first part that lacks some: base, method, tool.
	Rule string
}

// maxNameBytes bounds what is folded and matched for one request. MCP asks for
// tool names of at most 128 characters.
const maxNameBytes = 4 << 10

// ruleBase is Decision.Rule where the base scopes decided.
const ruleBase = "base"

// Decide says whether a principal with the granted scopes may make a request. A
// call of a tool is under the rules on methods and on tools both, and needs what
// each asks for.
func (p *Policy) Decide(req Request, granted []string) Decision {
	if needsBaseOnly(req.Method) {
		return p.weigh(granted)
	}
	method, refusal := p.methods.rule(req.Method)
	if refusal != "" {
		return Decision{Denied: true, Rule: refusal}
	}
	if req.Method != methodToolsCall {
		return p.weigh(granted, method)
	}
	tool, refusal := p.tools.rule(req.Tool)
	if refusal != "" {
		return Decision{Denied: true, Rule: refusal}
	}
	return p.weigh(granted, method, tool)
}

// rule returns the rule that allows a name with scopes, nil if there is none, or
// why nobody may use the name.
func (s *ruleset) rule(name string) (rule *compiledRule, refusal string) {
	if len(name) > maxNameBytes {
		return nil, s.kind + " name longer than 4 KiB"
	}
	rule, evaded := s.find(name)
	switch {
	case evaded != nil:
		return nil, "look-alike " + evaded.Kind + " " + evaded.Pattern
	case rule != nil && rule.Deny:
		return nil, rule.label
	}
	return rule, ""
}

// weigh compares what is granted with what base and rules need.
func (p *Policy) weigh(granted []string, rules ...*compiledRule) Decision {
	d := Decision{Needed: p.base, Missing: missing(p.base, granted), Rule: ruleBase}
	lacking := len(d.Missing) > 0
	for _, r := range rules {
		if r == nil {
			continue
		}
		d.Needed = appendMissing(slices.Clip(d.Needed), r.Scopes)
		without := missing(r.Scopes, granted)
		d.Missing = appendMissing(d.Missing, without)
		if !lacking {
			d.Rule = r.label
			lacking = len(without) > 0
		}
	}
	d.Allowed = !lacking
	return d
}

// ScopesSupported is the least that clients should ask for, for the metadata: the
// base scopes, or, if there are none, all scopes that the rules name. The slice
// must not be changed.
func (p *Policy) ScopesSupported() []string { return p.supported }

// ToolVisible says whether a tool belongs in the list that a principal with the
// granted scopes is shown: whether it may call it.
func (p *Policy) ToolVisible(name string, granted []string) bool {
	return p.Decide(Request{Method: methodToolsCall, Tool: name}, granted).Allowed
}

// missing returns those scopes that are not granted. Scopes compare exactly (RFC
// 6749 section 3.3).
func missing(scopes, granted []string) []string {
	var lacking []string
	for _, scope := range scopes {
		if !slices.Contains(granted, scope) {
			lacking = append(lacking, scope)
		}
	}
	return lacking
}

// appendMissing appends those scopes that the list does not have.
func appendMissing(list, scopes []string) []string {
	for _, scope := range scopes {
		if !slices.Contains(list, scope) {
			list = append(list, scope)
		}
	}
	return list
}
