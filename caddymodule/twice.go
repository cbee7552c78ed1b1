package caddymodule

import (
	"fmt"
	"slices"
	"strings"
)

// checkTwice refuses a handler that no request comes to, since others before it answer them
// all: its rules would hold for nobody.
func checkTwice(all []placed) error {
	for _, h := range all {
		var dead error
		for _, t := range h.trails {
			if dead = checkReached(h.handler, t, all); dead == nil {
				break
			}
		}
		if dead != nil {
			return dead
		}
	}
	return nil
}

// checkReached is an error if no request takes a trail of the handler to its end.
func checkReached(h starter, t trail, all []placed) error {
	for _, other := range all {
		if other.handler == h || !isEntry(h) || !isEntry(other.handler) {
			continue
		}
		if i := slices.IndexFunc(other.trails, func(first trail) bool { return first.covers(t) }); i >= 0 {
			first := other.trails[i]
			return fmt.Errorf("%s and %s stand at %s: the first would answer all requests, and the second none; %s",
				directiveOf(other.handler, first), directiveOf(h, t), t.where(), remedy(first, t))
		}
	}
	return nil
}

// remedy is what to do about a trail that covers a second one.
func remedy(first, second trail) string {
	second.conditions = slices.DeleteFunc(slices.Clone(second.conditions), func(c condition) bool { return c.rest })
	if second.admits(first) {
		return "give each a path of its own, or leave one out"
	}
	return "put both into a route block, the second before the first, give each a path of its own, or leave one out"
}

// directiveOf is a handler as its directive was written, as far as that tells it from another.
func directiveOf(h starter, t trail) string {
	name, line := "mcp_oauth", ""
	if o, ok := h.(*OAuth); ok {
		line = "oauth " + strings.Join(o.Issuers, " ")
		if carrier := t.carrier(); carrier != nil {
			h = carrier
		}
	}
	if s, ok := h.(*Stdio); ok {
		name, line = "mcp", "stdio "+s.Command[0]
	}
	return fmt.Sprintf("%s with %q", name, line)
}

// isEntry says whether requests come to a handler from outside, and not by way of an
// mcp_oauth.
func isEntry(h starter) bool {
	s, ok := h.(*Stdio)
	return !ok || s.Anonymous != ""
}

// where is an address for people, if it is only a part of one.
func (t trail) where() string {
	address := "/"
	if paths := t.called(); len(paths) > 0 {
		address = paths[0]
	}
	if len(t.hosts) > 0 {
		address = t.hosts[0] + address
	}
	return address
}
