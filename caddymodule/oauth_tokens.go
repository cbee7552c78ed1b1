package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// TokenSettings say which tokens are good, beside what all must be, and how long that is
// remembered.
type TokenSettings struct {
	// Claims that every token must have, all of them. A good token without one is answered
	// 403.
	Require []Requirement `json:"require,omitempty"`
}

// Requirement is a claim that every token must have.
type Requirement struct {
	// The name of the claim, or a dotted path to it through nested claims.
	Claim string `json:"claim,omitempty"`
	// Values of which it must have one: be it, or be a list that has it.
	Values []string `json:"values,omitempty"`
}

// values are those in which global placeholders may stand.
func (t *TokenSettings) values() []*string {
	var values []*string
	for _, r := range t.Require {
		for i := range r.Values {
			values = append(values, &r.Values[i])
		}
	}
	return values
}

// apply writes the settings into a verifier's configuration.
func (t *TokenSettings) apply(cfg *oauth.Config) {
	for _, r := range t.Require {
		cfg.Require = append(cfg.Require, oauth.Requirement(r))
	}
}

// parseRequire reads "require <claim> <value>...".
func (m *directive) parseRequire(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("require takes a claim and the values of which it must have one, such as \"require groups mcp-users\"")
	}
	m.oauth.Require = append(m.oauth.Require, Requirement{Claim: args[0], Values: args[1:]})
	return nil
}
