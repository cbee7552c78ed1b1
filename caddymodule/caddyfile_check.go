package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// check refuses a directive whose parts do not go together.
func (m *directive) check(d *caddyfile.Dispenser) error {
	switch {
	case len(m.stdio.Command) == 0:
		return d.Err("mcp: no server: write \"stdio <command>\"")
	case !m.withOAuth && m.stdio.Anonymous == "":
		return d.Err("mcp: nobody is let in: write \"oauth <issuer>\", or \"anonymous\" to serve without login")
	case m.withOAuth && m.stdio.Anonymous != "":
		return d.Err("mcp: oauth and anonymous exclude one another")
	case !m.withOAuth && m.oauth.Scopes != nil:
		return d.Err("mcp: scopes come from tokens: they need oauth")
	case !m.withOAuth && m.between != nil:
		return d.Err("mcp: handle stands behind the login: it needs oauth")
	}
	if m.withOAuth {
		m.stdio.Origins = nil // mcp_oauth decides
	}
	if err := m.checkStdio(); err != nil {
		return err
	}
	return m.checkValues()
}

// checkStdio refuses what Provision would, but knows the file and the line. Placeholders of the
// machine where the gateway runs are taken to be filled in there.
func (m *directive) checkStdio() error {
	repl := caddy.NewEmptyReplacer()
	repl.Map(func(key string) (any, bool) { return key, true })
	if _, err := m.stdio.tryOut(repl); err != nil {
		return m.stdioAt.WrapErr(err)
	}
	return nil
}

// checkValues refuses what Provision would, but knows the file and the line. What is known
// only where the gateway runs is left to that: placeholders, and files.
func (m *directive) checkValues() error {
	if err := m.checkPath(); err != nil {
		return err
	}
	if !m.withOAuth || slices.ContainsFunc(m.oauth.values(), func(value *string) bool { return strings.Contains(*value, "{") }) {
		return nil
	}
	cfg := m.oauth.config()
	if i := m.oauth.Introspect; i != nil {
		if err := i.check(); err != nil {
			return m.at.WrapErr(err)
		}
		if cfg.Introspection.Client.Secret = i.ClientSecret; i.Key != "" {
			cfg.Introspection = nil // the key is to be read where the gateway runs
		}
	}
	if _, err := m.oauth.tryOut(cfg); err != nil {
		return m.at.WrapErr(err)
	}
	return nil
}

// checkPath refuses a path of which no resource can be made, unless one is written.
func (m *directive) checkPath() error {
	if !m.withOAuth || m.oauth.Resource != "" || m.path == "" {
		return nil
	}
	_, err := oauth.CanonicalResource("https://mcp.example.com" + m.path)
	if err != nil || strings.Contains(m.path, "%") {
		return m.at.Errf("the path %q is not as it stands in an address: write the public address, such as \"resource https://mcp.example.com/mcp\"", m.path)
	}
	return nil
}
