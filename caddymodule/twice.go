package caddymodule

import (
	"fmt"
	"slices"
	"strings"
)

// checkTwice refuses two handlers at one address: the first would answer all requests, and
// the rules of the second would be for nobody. Where a matcher stands before one of them, they
// may share an address. The trails are those of the handlers.
func checkTwice(handlers []starter, all [][]trail) error {
	for i, trails := range all {
		for j := range i {
			if !isEntry(handlers[i]) || !isEntry(handlers[j]) {
				continue
			}
			for _, t := range trails {
				if k := slices.IndexFunc(all[j], t.same); k >= 0 {
					return fmt.Errorf("%s and %s stand at %s: the first would answer all requests, and the second none; give each a path of its own, or leave one out",
						directiveOf(handlers[j], all[j][k]), directiveOf(handlers[i], t), t.where())
				}
			}
		}
	}
	return nil
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

// same says whether two trails lead the same requests on, as far as hosts and paths tell.
func (t trail) same(other trail) bool {
	if t.server != other.server || t.narrowed || other.narrowed || t.rewritten || other.rewritten {
		return false
	}
	path, err := derivePath(t.paths)
	others, err2 := derivePath(other.paths)
	if err != nil || err2 != nil || path != others {
		return false
	}
	return t.hosts == nil && other.hosts == nil || slices.ContainsFunc(t.hosts, func(host string) bool { return slices.Contains(other.hosts, host) })
}

// where is an address for people, if it is only a part of one.
func (t trail) where() string {
	path, err := derivePath(t.paths)
	if err != nil || path == "" {
		path = "/"
	}
	if len(t.hosts) == 0 {
		return path
	}
	return t.hosts[0] + path
}
