package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parseBound reads what tokens must be bound by.
func (m *directive) parseBound(d *caddyfile.Dispenser) error {
	kinds := []string{"dpop", "mtls", "any"}
	if err := word(d, "bound", &m.oauth.Bound); err != nil {
		return err
	}
	if !slices.Contains(kinds, m.oauth.Bound) {
		return d.Errf("bound: %q is unknown: use one of %s", m.oauth.Bound, strings.Join(kinds, ", "))
	}
	return nil
}

// parseDPoP reads how proofs are checked.
func (m *directive) parseDPoP(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("dpop: unexpected %q: dpop takes a block", d.Val())
	}
	m.oauth.DPoP = &DPoP{}
	return parseBlock(d, "dpop", nil, []subdirective{
		{"algorithms", func(d *caddyfile.Dispenser) error { return words(d, "dpop algorithms", &m.oauth.DPoP.Algorithms) }},
		{"nonce", func(d *caddyfile.Dispenser) error {
			if d.NextArg() {
				return d.Errf("dpop nonce: unexpected %q: it stands alone", d.Val())
			}
			m.oauth.DPoP.Nonce = true
			return nil
		}},
	})
}
