package policy

import (
	"fmt"
	"slices"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// Config is what a [Policy] is made from.
type Config struct {
	// Base are the scopes that every request needs.
	Base []string
	// Rules are in the order in which they were written.
	Rules []Rule
	// Imply is the hierarchy of scopes.
	Imply []Implication
	// AskAll makes [Policy.ScopesSupported] all scopes that base and rules name, for clients
	// that cannot ask for more later.
	AskAll bool
	// AdvertisePrefix stands before each scope of [Policy.ScopesSupported] and [Policy.Ask]:
	// some authorization servers want to be asked for longer names than they write into tokens.
	AdvertisePrefix string
}

// Policy decides about requests. It does not change and is safe for concurrent
// use.
type Policy struct {
	base       []string
	methods    *ruleset
	tools      *ruleset
	prompts    *ruleset
	resources  *resourceRules
	hierarchy  hierarchy
	known      []string // all scopes that it names
	advertised []string
	prefix     string // of those that clients are told
}

// New checks the rules and returns the policy. The error names the rule and says
// what is wrong with it.
func New(cfg Config) (*Policy, error) {
	if err := checkScopes(cfg.Base); err != nil {
		return nil, fmt.Errorf("scopes: base: %w", err)
	}
	if cfg.AdvertisePrefix != "" {
		if err := checkScopes([]string{cfg.AdvertisePrefix}); err != nil {
			return nil, fmt.Errorf("scopes: advertise_prefix: %w", err)
		}
	}
	for _, r := range cfg.Rules {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("scopes: %w", err)
		}
	}
	if err := checkDuplicates(cfg.Rules); err != nil {
		return nil, fmt.Errorf("scopes: %w", err)
	}
	above, err := newHierarchy(cfg.Imply)
	if err != nil {
		return nil, fmt.Errorf("scopes: %w", err)
	}
	p := &Policy{
		base:      appendMissing(nil, cfg.Base),
		methods:   compile(KindMethod, cfg.Rules, knownMethods()...),
		tools:     compile(KindTool, cfg.Rules),
		prompts:   compile(KindPrompt, cfg.Rules),
		resources: compileResources(cfg.Rules),
		hierarchy: above,
		prefix:    cfg.AdvertisePrefix,
	}
	all := p.base
	for _, r := range cfg.Rules {
		all = appendMissing(slices.Clip(all), r.Scopes)
	}
	p.advertised, p.known = p.base, all
	if len(p.base) == 0 || cfg.AskAll {
		p.advertised = all
	}
	p.advertised = p.prefixed(p.advertised)
	for _, i := range cfg.Imply {
		p.known = appendMissing(appendMissing(slices.Clip(p.known), []string{i.Scope}), i.Implies)
	}
	return p, nil
}

// Request is what a policy decides about.
type Request struct {
	// Method is the JSON-RPC method; "" for a response of the client.
	Method string
	// Kind is what the request is about: [KindTool], [KindPrompt], [KindResource], or ""
	// if it is nothing that rules name.
	Kind string
	// Name is the name of that tool or prompt, or the URI of that resource.
	Name string
	// More are further ones of the same kind.
	More []string
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
	// Needed are all scopes that the request needs, the base scopes first. It must not
	// be changed.
	Needed []string
	// Rule says what decided, for the audit record: "base", "tool delete_*",
	// "method tools/list", "deny tool x", "look-alike tool save_snapshot". If
	// scopes are missing it is the first part that lacks some: base, method, target.
	Rule string
}

// maxNameBytes bounds what is folded and matched for one name. MCP asks for
// tool names of at most 128 characters.
const maxNameBytes = 4 << 10

// ruleBase is Decision.Rule where the base scopes decided.
const ruleBase = "base"

// Decide says whether a principal with the granted scopes, which were expanded before,
// may make a request. What is about a tool, a prompt or resources is under the rules on
// methods and on these both, and needs what each asks for.
func (p *Policy) Decide(req Request, granted []string) Decision {
	var buf [8]*compiledRule
	rules, refusal := p.rules(buf[:0], req)
	if refusal != "" {
		return Decision{Denied: true, Rule: refusal}
	}
	return p.weigh(granted, rules)
}

// rules appends those that a request is under, or says why nobody may make it.
func (p *Policy) rules(dst []*compiledRule, req Request) (rules []*compiledRule, refusal string) {
	if needsBaseOnly(req.Method) {
		return dst, ""
	}
	if dst, refusal = p.methods.rule(dst, req.Method); refusal != "" {
		return nil, refusal
	}
	var set *ruleset
	switch req.Kind {
	case KindTool:
		set = p.tools
	case KindPrompt:
		set = p.prompts
	case KindResource:
		return p.resources.rules(dst, req)
	default:
		return dst, ""
	}
	dst, refusal = set.rule(dst, req.Name)
	for i := 0; i < len(req.More) && refusal == ""; i++ {
		dst, refusal = set.rule(dst, req.More[i])
	}
	return dst, refusal
}

// weigh compares what is granted with what base and rules need.
func (p *Policy) weigh(granted []string, rules []*compiledRule) Decision {
	d := Decision{Needed: p.base, Missing: missing(p.base, granted), Rule: ruleBase}
	lacking := len(d.Missing) > 0
	for _, r := range rules {
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

// Expand returns what is granted by scopes: these and all that they imply. If they imply
// nothing it is the same slice.
func (p *Policy) Expand(scopes []string) []string { return p.hierarchy.expand(scopes) }

// Implies says whether there is a hierarchy, without which [Policy.Expand] changes
// nothing.
func (p *Policy) Implies() bool { return len(p.hierarchy) > 0 }

// Ask returns the scopes that a challenge asks for, so that the request of a decision can
// be made with the next token: what the request needs, and of what is granted now all
// that this policy knows. For clients there are that ask for the challenge's scopes alone,
// and would lose with each challenge what they had by the one before; those that add them
// to what they have are asked for nothing new by it. What another scope of the list
// implies is left out.
func (p *Policy) Ask(d Decision, granted []string) []string {
	ask := d.Needed
	for _, scope := range granted {
		if slices.Contains(p.known, scope) {
			ask = appendMissing(slices.Clip(ask), []string{scope})
		}
	}
	return p.prefixed(p.hierarchy.least(ask))
}

// prefixed are scopes as clients are told them.
func (p *Policy) prefixed(scopes []string) []string {
	if p.prefix == "" {
		return scopes
	}
	told := make([]string, len(scopes))
	for i, scope := range scopes {
		told[i] = p.prefix + scope
	}
	return told
}

// ScopesSupported is what clients are told to ask for before they have a token, in the first
// challenge and in the metadata: the base scopes, or all scopes that the rules name if
// there are none or if the policy is to ask for all. The slice must not be changed.
func (p *Policy) ScopesSupported() []string { return p.advertised }

// callMethods have for each kind the method by which what a list shows is used.
var callMethods = map[string]string{
	KindTool: message.MethodToolsCall, KindPrompt: message.MethodPromptsGet, KindResource: message.MethodRead,
}

// Filters says whether there is anything of a kind that some principal may not use and
// another may list.
func (p *Policy) Filters(kind string) bool {
	return p.methods.rules > 0 || kind == KindTool && p.tools.rules > 0 ||
		kind == KindPrompt && p.prompts.rules > 0 || kind == KindResource && p.resources.written.rules > 0
}

// Visible says whether a tool, a prompt or a resource belongs in the list that a principal
// with the granted scopes is shown: whether it may call, get or read it.
func (p *Policy) Visible(kind, name string, granted []string) bool {
	var buf [8]*compiledRule
	rules, refusal := p.rules(buf[:0], Request{Method: callMethods[kind], Kind: kind, Name: name})
	if refusal != "" || !has(p.base, granted) {
		return false
	}
	return !slices.ContainsFunc(rules, func(r *compiledRule) bool { return !has(r.Scopes, granted) })
}

// has says whether all scopes are granted. Scopes compare exactly (RFC 6749 section 3.3).
func has(scopes, granted []string) bool {
	for _, scope := range scopes {
		if !slices.Contains(granted, scope) {
			return false
		}
	}
	return true
}

// missing returns those scopes that are not granted.
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
