package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// parseMCP reads the mcp directive:
//
//	mcp [<path>] {
//		stdio <command> [<args>...] {
//			env <NAME> <value>
//			pass_env <NAME>...
//			dir <path>
//			per session|user|shared
//			prewarm <n>
//			max_processes <n>
//			idle_timeout|start_timeout|stop_timeout|call_timeout|queue_timeout <duration>
//		}
//		oauth <issuer>... {
//			resource <uri>
//			audience <value>...
//			resource_name <text>
//			resource_documentation <url>
//			issuer_metadata
//			jwks <url>
//			algorithms <alg>...
//			subject <claim>
//			scope_claims <claim>...
//			token_header <name>
//			bound dpop|mtls|any
//			dpop {
//				algorithms <alg>...
//				nonce
//			}
//			require <claim> <value>...
//			introspect <url> {
//				client_id <id>
//				client_secret <secret>
//				auth basic|post|private_key_jwt
//				key <file> [<key id>]
//				issuer <issuer>
//				tokens opaque|all
//			}
//			clock_skew <duration>
//			cache {
//				size <n>
//				ttl <duration>
//			}
//		}
//		scopes {
//			base <scope>...
//			tool|prompt|resource|method <name|glob> <scope>...
//			deny tool|prompt|resource|method <name|glob>
//			imply <scope> <scope>...
//			ask base|all
//			advertise_prefix <prefix>
//			filter on|off
//		}
//		identity meta|env|both|off {
//			claims <name>...
//		}
//		anonymous [public]
//		origins <origin>...
//		limits {
//			concurrent <n>
//			sessions <n>
//			body <size>
//		}
//		audit [off]
//		handle {
//			<directives of Caddy>
//		}
//	}
//
// The path is exact. The directive becomes one route, for the path and for the well-known
// paths of its metadata, with the handlers mcp_oauth and mcp_stdio in it.
func parseMCP(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	d := &directive{helper: h, oauth: &OAuth{}, stdio: &Stdio{}}
	if err := d.parsePath(h.Dispenser); err != nil {
		return nil, err
	}
	if err := d.parse(h.Dispenser); err != nil {
		return nil, err
	}
	if err := d.check(h.Dispenser); err != nil {
		return nil, err
	}
	return d.route(h)
}

// directive is what one mcp block says.
type directive struct {
	helper    httpcaddyfile.Helper
	path      string
	oauth     *OAuth
	stdio     *Stdio
	withOAuth bool
	at        caddyfile.Dispenser // the word oauth
	stdioAt   caddyfile.Dispenser // the word stdio
	between   json.RawMessage     // of handlers between the two, or nil
}

// parsePath reads the directive's name and the path behind it.
func (m *directive) parsePath(d *caddyfile.Dispenser) error {
	d.Next()
	name := d.Val()
	if d.NextArg() {
		m.path = d.Val()
		if strings.HasPrefix(m.path, "@") {
			return d.Errf("%s takes no matcher: put it into \"handle %s\" or \"route %s\"", name, m.path, m.path)
		}
		if !isExact(m.path) {
			return d.Errf("%s: %q is not one exact path: write one such as /mcp, or none", name, m.path)
		}
	}
	if d.NextArg() {
		return d.Errf("%s: unexpected %q: the directive takes one path, and a block", name, d.Val())
	}
	return nil
}

// isExact says whether a path stands for itself with [caddyhttp.MatchPath], which takes more
// characters than * for patterns, and never sees a dot segment.
func isExact(path string) bool {
	segments := strings.Split(path, "/")
	return strings.HasPrefix(path, "/") && !strings.ContainsAny(path, `*?#[\`) &&
		!slices.Contains(segments, ".") && !slices.Contains(segments, "..")
}

// subdirective reads the arguments and the block behind one name.
type subdirective struct {
	name  string
	parse func(d *caddyfile.Dispenser) error
}

// parseBlock reads a block of subdirectives, each of which may stand in it once unless it
// is listed as repeatable.
func parseBlock(d *caddyfile.Dispenser, where string, repeatable []string, subs []subdirective) error {
	seen, last := map[string]bool{}, where
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		i := slices.IndexFunc(subs, func(s subdirective) bool { return s.name == name })
		if i < 0 {
			return unknownSubdirective(d, where, last, subs)
		}
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("%s: %s is written twice", where, name)
		}
		seen[name], last = true, name
		if err := subs[i].parse(d); err != nil {
			return err
		}
	}
	return nil
}

// unknownSubdirective is the error about a word in a block, where the last known one stands
// before it.
func unknownSubdirective(d *caddyfile.Dispenser, where, last string, subs []subdirective) error {
	switch {
	case d.Val() == "{":
		return d.Errf("%s takes no block: write its values on one line, without { and }", last)
	case len(subs) == 0:
		return d.Errf("%s: unexpected %q: %s takes no block", where, d.Val(), where)
	}
	names := make([]string, len(subs))
	for i, s := range subs {
		names[i] = s.name
	}
	slices.Sort(names)
	return d.Errf("%s: unknown subdirective %q; there are: %s", where, d.Val(), strings.Join(names, ", "))
}

func (m *directive) parse(d *caddyfile.Dispenser) error {
	return parseBlock(d, "mcp", nil, []subdirective{
		{"stdio", m.parseStdio},
		{"oauth", m.parseOAuth},
		{"scopes", m.parseScopes},
		{"identity", m.parseIdentity},
		{"anonymous", m.parseAnonymous},
		{"origins", m.parseOrigins},
		{"limits", m.parseLimits},
		{"audit", m.parseAudit},
		{"handle", m.parseHandle},
	})
}

// route makes the one route of the directive. Both handlers are given the same resource,
// since mcp_stdio serves what was admitted for its own only.
func (m *directive) route(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if m.path != strings.ToLower(m.path) {
		m.oauth.Path, m.stdio.Path = m.path, m.path
	}
	var handlers []json.RawMessage
	if m.withOAuth {
		m.stdio.Resource = m.oauth.Resource
		handlers = append(handlers, caddyconfig.JSONModuleObject(m.oauth, "handler", "mcp_oauth", nil))
		if m.between != nil {
			handlers = append(handlers, m.between)
		}
	}
	handlers = append(handlers, caddyconfig.JSONModuleObject(m.stdio, "handler", "mcp_stdio", nil))
	return m.routed(h, handlers), nil
}

// routed is a route with these handlers for the path, and for the well-known paths of its
// metadata where that is served.
func (m *directive) routed(h httpcaddyfile.Helper, handlers []json.RawMessage) []httpcaddyfile.ConfigValue {
	route := caddyhttp.Route{HandlersRaw: handlers}
	if m.path != "" {
		paths := []string{m.path}
		if m.withOAuth {
			if m.path != "/" {
				paths = append(paths, metadataRoot+m.path)
			}
			if resource, err := oauth.CanonicalResource(m.oauth.Resource); err == nil {
				paths = append(paths, oauth.MetadataPath(resource))
			}
			paths = append(paths, metadataRoot)
			if m.oauth.IssuerMetadata {
				paths = append(paths, oauth.IssuerMetadataPath)
			}
			slices.Sort(paths[1:])
			paths = slices.Compact(paths)
		}
		route.MatcherSetsRaw = []caddy.ModuleMap{{"path": h.JSON(paths)}}
	}
	return []httpcaddyfile.ConfigValue{{Class: "route", Value: route}}
}

func (m *directive) parseOrigins(d *caddyfile.Dispenser) error {
	if err := words(d, "origins", &m.oauth.Origins); err != nil {
		return err
	}
	known := slices.DeleteFunc(slices.Clone(m.oauth.Origins), func(origin string) bool { return strings.Contains(origin, "{") })
	if _, err := admission.New(admission.Settings{Origins: known}); err != nil {
		return d.WrapErr(err)
	}
	m.stdio.Origins = m.oauth.Origins
	return nil
}

func (m *directive) parseIdentity(d *caddyfile.Dispenser) error {
	m.stdio.Identity = &Identity{}
	if d.NextArg() {
		m.stdio.Identity.Mode = d.Val()
		if !slices.Contains(identityModes, d.Val()) {
			return d.Errf("identity: %q is unknown: use one of %s", d.Val(), strings.Join(identityModes, ", "))
		}
	}
	if d.NextArg() {
		return d.Errf("identity: unexpected %q: it takes one of %s", d.Val(), strings.Join(identityModes, ", "))
	}
	return parseBlock(d, "identity", nil, []subdirective{
		{"claims", func(d *caddyfile.Dispenser) error { return words(d, "claims", &m.stdio.Identity.Claims) }},
	})
}

func (m *directive) parseAnonymous(d *caddyfile.Dispenser) error {
	m.stdio.Anonymous = anonymousLoopback
	switch args := d.RemainingArgs(); {
	case len(args) == 1 && args[0] == "public":
		m.stdio.Anonymous = anonymousPublic
	case len(args) > 0:
		return d.Errf("anonymous: unexpected %q: it stands alone, or with public", args[len(args)-1])
	}
	return nil
}

func (m *directive) parseLimits(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("limits: unexpected %q: limits takes a block", d.Val())
	}
	m.stdio.Limits = &Limits{}
	return parseBlock(d, "limits", nil, []subdirective{
		m.bodyLimit(),
		{"concurrent", func(d *caddyfile.Dispenser) error { return count(d, "limits concurrent", &m.stdio.Limits.Concurrent) }},
		{"sessions", func(d *caddyfile.Dispenser) error { return count(d, "limits sessions", &m.stdio.Limits.Sessions) }},
	})
}

func (m *directive) bodyLimit() subdirective {
	return subdirective{"body", func(d *caddyfile.Dispenser) error {
		err := size(d, "limits body", &m.oauth.MaxBody)
		if m.stdio.Limits != nil {
			m.stdio.Limits.Body = m.oauth.MaxBody
		}
		return err
	}}
}

func (m *directive) parseAudit(d *caddyfile.Dispenser) error {
	switch args := d.RemainingArgs(); {
	case len(args) == 1 && args[0] == "off":
		m.oauth.AuditOff, m.stdio.AuditOff = true, true
	case len(args) > 0:
		return d.Errf("audit: unexpected %q: it stands alone, or with off", args[len(args)-1])
	}
	return parseBlock(d, "audit", nil, nil)
}

func (m *directive) parseStdio(d *caddyfile.Dispenser) error {
	m.stdioAt = *d
	m.stdio.Command = d.RemainingArgs()
	if len(m.stdio.Command) == 0 {
		return d.Err("stdio takes the command to run, such as \"stdio snapshotd\"")
	}
	s := m.stdio
	return parseBlock(d, "stdio", []string{"env", "pass_env"}, []subdirective{
		{"env", m.parseEnv},
		{"pass_env", func(d *caddyfile.Dispenser) error { return words(d, "pass_env", &s.PassEnv) }},
		{"dir", func(d *caddyfile.Dispenser) error { return word(d, "dir", &s.Dir) }},
		{"per", func(d *caddyfile.Dispenser) error {
			if err := word(d, "per", &s.Per); err != nil {
				return err
			}
			if _, ok := sharings[s.Per]; !ok {
				return d.Errf("per: %q is unknown: use one of session, user, shared", s.Per)
			}
			return nil
		}},
		{"prewarm", func(d *caddyfile.Dispenser) error { return count(d, "prewarm", &s.Prewarm) }},
		{"max_processes", func(d *caddyfile.Dispenser) error { return count(d, "max_processes", &s.MaxProcesses) }},
		{"idle_timeout", func(d *caddyfile.Dispenser) error { return duration(d, "idle_timeout", &s.IdleTimeout) }},
		{"start_timeout", func(d *caddyfile.Dispenser) error { return duration(d, "start_timeout", &s.StartTimeout) }},
		{"stop_timeout", func(d *caddyfile.Dispenser) error { return duration(d, "stop_timeout", &s.StopTimeout) }},
		{"call_timeout", func(d *caddyfile.Dispenser) error { return duration(d, "call_timeout", &s.CallTimeout) }},
		{"queue_timeout", func(d *caddyfile.Dispenser) error { return duration(d, "queue_timeout", &s.QueueTimeout) }},
	})
}

func (m *directive) parseEnv(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("env takes a name and a value, such as \"env SNAPSHOT_DB_PATH /var/lib/snapshotd/{mcp.user}/snapshots.db\"")
	}
	if m.stdio.Env == nil {
		m.stdio.Env = map[string]string{}
	}
	if _, ok := m.stdio.Env[args[0]]; ok {
		return d.Errf("env: %s is written twice", args[0])
	}
	m.stdio.Env[args[0]] = args[1]
	return nil
}

func (m *directive) parseOAuth(d *caddyfile.Dispenser) error {
	m.withOAuth, m.at = true, *d
	o := m.oauth
	if err := words(d, "oauth", &o.Issuers); err != nil {
		return fmt.Errorf("%w: the issuer of the tokens, such as \"oauth https://auth.example.com\"", err)
	}
	return parseBlock(d, "oauth", []string{"require"}, []subdirective{
		{"resource", func(d *caddyfile.Dispenser) error { return word(d, "resource", &o.Resource) }},
		{"audience", func(d *caddyfile.Dispenser) error { return words(d, "audience", &o.Audience) }},
		{"resource_name", func(d *caddyfile.Dispenser) error { return word(d, "resource_name", &o.ResourceName) }},
		{"resource_documentation", func(d *caddyfile.Dispenser) error {
			return word(d, "resource_documentation", &o.ResourceDocumentation)
		}},
		{"issuer_metadata", m.parseIssuerMetadata},
		{"jwks", func(d *caddyfile.Dispenser) error { return word(d, "jwks", &o.JWKS) }},
		{"algorithms", func(d *caddyfile.Dispenser) error { return words(d, "algorithms", &o.Algorithms) }},
		{"subject", func(d *caddyfile.Dispenser) error { return word(d, "subject", &o.Subject) }},
		{"scope_claims", func(d *caddyfile.Dispenser) error { return words(d, "scope_claims", &o.ScopeClaims) }},
		{"token_header", func(d *caddyfile.Dispenser) error { return word(d, "token_header", &o.TokenHeader) }},
		{"bound", m.parseBound},
		{"dpop", m.parseDPoP},
		{"require", m.parseRequire},
		{"introspect", m.parseIntrospect},
		{"cache", m.parseTokenCache},
		{"clock_skew", func(d *caddyfile.Dispenser) error { return clockSkew(d, &o.ClockSkew) }},
	})
}
