package caddymodule

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
)

// Scopes says what scopes requests need.
type Scopes struct {
	// Needed by every request.
	Base []string `json:"base,omitempty"`
	// Rules on tools, prompts, resources and methods. An exact name beats globs, else the
	// first one wins.
	Rules []ScopeRule `json:"rules,omitempty"`
	// The hierarchy: whoever has one scope has others with it.
	Imply []ScopeImplication `json:"imply,omitempty"`
	// What clients are told to ask for before they have a token: "base", or "all" for
	// those that cannot ask for more later. Default: base, or all if there is no base.
	Ask string `json:"ask,omitempty"`
	// What stands before each scope where clients are told of it, for an authorization server
	// that wants to be asked for longer names than it writes into tokens. Default: nothing.
	AdvertisePrefix string `json:"advertise_prefix,omitempty"`
	// Whether lists show what their reader may not use, too. Calls are refused all the
	// same.
	FilterOff bool `json:"filter_off,omitempty"`
}

// ScopeRule is what a tool, a prompt, a resource or a method needs.
type ScopeRule struct {
	// "tool", "prompt", "resource" or "method".
	Kind string `json:"kind,omitempty"`
	// A name, or a glob in which * stands for any characters. A resource is named by its
	// URI.
	Pattern string `json:"pattern,omitempty"`
	// The scopes that it needs beside the base ones.
	Scopes []string `json:"scopes,omitempty"`
	// Nobody may use it.
	Deny bool `json:"deny,omitempty"`
}

// ScopeImplication says that whoever has a scope has others with it.
type ScopeImplication struct {
	Scope   string   `json:"scope,omitempty"`
	Implies []string `json:"implies,omitempty"`
}

// Values of [Scopes.Ask].
const (
	askBase = "base"
	askAll  = "all"
)

// compile checks the rules. Nil stands for none.
func (s *Scopes) compile() (*policy.Policy, error) {
	if s == nil {
		return policy.New(policy.Config{})
	}
	if s.Ask != "" && s.Ask != askBase && s.Ask != askAll {
		return nil, fmt.Errorf("scopes: ask %q: use %s or %s", s.Ask, askBase, askAll)
	}
	cfg := policy.Config{Base: s.Base, AskAll: s.Ask == askAll, AdvertisePrefix: s.AdvertisePrefix}
	for _, rule := range s.Rules {
		cfg.Rules = append(cfg.Rules, policy.Rule(rule))
	}
	for _, implication := range s.Imply {
		cfg.Imply = append(cfg.Imply, policy.Implication(implication))
	}
	return policy.New(cfg)
}

// unheardOf returns the methods that rules name and no version of MCP has. One may be of an
// extension, but a name of the protocol's own kind, without a dot, is more likely mistyped, and
// then protects nothing.
func (s *Scopes) unheardOf() (methods []string) {
	if s == nil {
		return nil
	}
	for _, rule := range s.Rules {
		if rule.Kind == "method" && !strings.ContainsAny(rule.Pattern, "*.") && !message.IsRequest(rule.Pattern) &&
			!strings.HasPrefix(rule.Pattern, "notifications/") && !slices.Contains(methods, rule.Pattern) {
			methods = append(methods, rule.Pattern)
		}
	}
	return methods
}

// filters says whether lists are filtered, where there is anything to filter.
func (s *Scopes) filters() bool { return s != nil && !s.FilterOff }

// expansion gives each principal the scopes that its own imply, once: all calls with one
// token have the same principal, before and after.
type expansion struct {
	policy *policy.Policy

	mu sync.RWMutex
	of map[*oauth.Principal]*oauth.Principal
}

// maxExpanded bounds an expansion; beyond it everything is made anew.
const maxExpanded = 4096

// principal returns the one with all scopes, or the same if it has them already.
func (e *expansion) principal(p *oauth.Principal) *oauth.Principal {
	if !e.policy.Implies() {
		return p
	}
	e.mu.RLock()
	known := e.of[p]
	e.mu.RUnlock()
	if known != nil {
		return known
	}
	fresh := *p
	fresh.Scopes = e.policy.Expand(p.Scopes)
	e.mu.Lock()
	defer e.mu.Unlock()
	if known := e.of[p]; known != nil {
		return known // of another call at the same moment
	}
	if len(e.of) >= maxExpanded || e.of == nil {
		e.of = map[*oauth.Principal]*oauth.Principal{}
	}
	e.of[p] = &fresh
	return &fresh
}

func (m *directive) parseScopes(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("scopes: unexpected %q: scopes takes a block", d.Val())
	}
	s := &Scopes{}
	m.oauth.Scopes = s
	subs := []subdirective{
		{"base", func(d *caddyfile.Dispenser) error { return words(d, "base", &s.Base) }},
		{"deny", s.parseDeny},
		{"imply", s.parseImply},
		{"ask", func(d *caddyfile.Dispenser) error { return oneOf(d, "scopes: ask", &s.Ask, askBase, askAll) }},
		{"advertise_prefix", func(d *caddyfile.Dispenser) error {
			return word(d, "scopes: advertise_prefix", &s.AdvertisePrefix)
		}},
		{"filter", func(d *caddyfile.Dispenser) error {
			var filter string
			err := oneOf(d, "scopes: filter", &filter, "on", "off")
			s.FilterOff = filter == "off"
			return err
		}},
	}
	for _, kind := range policy.Kinds() {
		subs = append(subs, subdirective{kind, func(d *caddyfile.Dispenser) error { return s.parseRule(d, kind) }})
	}
	return parseBlock(d, "scopes", append(policy.Kinds(), "deny", "imply"), subs)
}

// ruleExamples are rules of each kind, for errors.
var ruleExamples = map[string]string{
	"tool":     "tool delete_* files:delete",
	"prompt":   "prompt review_* files:write",
	"resource": "resource file:///srv/plans/* files:read",
	"method":   "method resources/read files:read",
}

func (s *Scopes) parseRule(d *caddyfile.Dispenser, kind string) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Errf("scopes: %s takes a name or glob and the scopes it needs, such as %q", kind, ruleExamples[kind])
	}
	s.Rules = append(s.Rules, ScopeRule{Kind: kind, Pattern: args[0], Scopes: args[1:]})
	return nil
}

func (s *Scopes) parseDeny(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 || !slices.Contains(policy.Kinds(), args[0]) {
		return d.Errf("scopes: deny takes one of %s, and a name or glob, such as \"deny tool admin_*\"", strings.Join(policy.Kinds(), ", "))
	}
	s.Rules = append(s.Rules, ScopeRule{Kind: args[0], Pattern: args[1], Deny: true})
	return nil
}

func (s *Scopes) parseImply(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("scopes: imply takes a scope and those that it implies, such as \"imply files:write files:read\"")
	}
	s.Imply = append(s.Imply, ScopeImplication{Scope: args[0], Implies: args[1:]})
	return nil
}
