package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestTwoHandlersAtOneAddressAreRefused(t *testing.T) {
	const open = "{\n stdio snapshotd\n anonymous\n}\n"
	const proxied = "{\n oauth https://auth.example.com\n}\n"
	for name, tc := range map[string]struct{ caddyfile, want string }{
		"the same path":                     {"mcp.example.com {\n mcp /mcp " + block + " mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"the same path in other case":       {"mcp.example.com {\n mcp /mcp " + block + " mcp /MCP " + block + "}", "mcp.example.com/mcp"},
		"no path":                           {"mcp.example.com {\n mcp " + block + " mcp " + block + "}", "mcp.example.com/"},
		"before a proxy and before stdio":   {"mcp.example.com {\n mcp_oauth /mcp " + proxied + " mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"with login and without":            {"http://localhost {\n mcp /mcp " + block + " mcp /mcp " + open + "}", "localhost/mcp"},
		"in two handles":                    {"mcp.example.com {\n handle {\n mcp /mcp " + block + "}\n handle {\n mcp /mcp " + block + "}\n}", "mcp.example.com/mcp"},
		"under one of two names":            {"a.example, b.example {\n mcp /mcp " + block + "}\nb.example:8443 {\n mcp /mcp " + block + "}", ""}, // another server
		"another path":                      {"mcp.example.com {\n mcp /mcp " + block + " mcp /other " + block + "}", ""},
		"another host":                      {"a.example {\n mcp /mcp " + block + "}\nb.example {\n mcp /mcp " + block + "}", ""},
		"behind a matcher":                  {"mcp.example.com {\n @x header X-Beta 1\n route {\n handle @x {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}\n}", ""},
		"behind matchers of two kinds":      {"mcp.example.com {\n @x method GET\n @y method POST\n handle @x {\n mcp /mcp " + block + "}\n handle @y {\n mcp /mcp " + block + "}\n}", ""},
		"a matcher that comes too late":     {"mcp.example.com {\n @x header X-Beta 1\n handle @x {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"both behind one matcher":           {"mcp.example.com {\n @x header X-Beta 1\n handle @x {\n mcp /mcp " + block + " mcp /mcp " + block + "}\n}", "mcp.example.com/mcp"},
		"one name of two, first":            {"a.example, b.example {\n @b host b.example\n handle @b {\n mcp /mcp " + block + "}\n handle {\n mcp /mcp " + block + "}\n}", ""},
		"one name of two, too late":         {"a.example, b.example {\n @b host b.example\n handle @b {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}", "b.example/mcp"},
		"a name of a wildcard, first":       {"*.example {\n @b host b.example\n handle @b {\n mcp /mcp " + block + "}\n handle {\n mcp /mcp " + block + "}\n}", ""},
		"a name of a wildcard, too late":    {"*.example {\n @b host B.example\n handle @b {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}", "b.example/mcp"},
		"a wildcard and a site":             {"*.example {\n mcp /mcp " + block + "}\nb.example {\n mcp /mcp " + block + "}\n* {\n mcp /mcp " + block + "}", ""},
		"all paths, then one":               {"mcp.example.com {\n mcp_oauth " + proxied + " mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"all paths, after one":              {"mcp.example.com {\n mcp " + block + " mcp /mcp " + block + "}", ""},
		"many paths, then one":              {"mcp.example.com {\n route {\n handle /m* {\n mcp " + block + "}\n mcp /MCP " + block + "}\n}", "mcp.example.com/mcp"},
		"many paths, then others":           {"mcp.example.com {\n route {\n handle /m/* {\n mcp " + block + "}\n mcp /mcp " + block + "}\n}", ""},
		"one path, then many":               {"mcp.example.com {\n route {\n mcp /mcp " + block + " handle /mcp* {\n mcp " + block + "}\n}\n}", ""},
		"two paths, then one of them":       {"mcp.example.com {\n @p path /a /b\n route {\n handle @p {\n mcp " + block + "}\n mcp /a " + block + "}\n}", "mcp.example.com/a"},
		"many paths twice":                  {"mcp.example.com {\n handle /m* {\n mcp " + block + " mcp " + block + "}\n}", "mcp.example.com/m*"},
		"metadata alone":                    {"mcp.example.com {\n route {\n handle /.well-known/oauth-protected-resource/* {\n mcp " + block + "}\n mcp " + block + "}\n}", ""},
		"both after a rewrite":              {"mcp.example.com {\n rewrite /old /mcp\n mcp /mcp " + block + " mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"a rewrite between them":            {"mcp.example.com {\n route {\n mcp /mcp " + block + " route {\n rewrite /old /mcp\n}\n mcp /mcp " + block + "}\n}", ""},
		"after another path's handle":       {"mcp.example.com {\n @x header X-Beta 1\n handle @x {\n header X-Seen 1\n}\n handle {\n mcp /mcp " + block + "}\n route {\n mcp /mcp " + block + "}\n}", ""},
		"in a matcher of no host":           {"http://mcp.example.com {\n mcp /mcp " + block + "}\nhttp:// {\n mcp /mcp " + block + "}", ""},
		"by two methods of one handle":      {"mcp.example.com {\n handle /mcp {\n @x method GET\n handle @x {\n mcp " + block + "}\n handle {\n mcp " + block + "}\n}\n}", ""},
		"behind a prefix that is cut off":   {"mcp.example.com {\n handle_path /a/* {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}", ""},
		"by two ways, of which one is dead": {"&(shared) {\n mcp /mcp " + block + "}\nmcp.example.com {\n route {\n mcp /mcp " + block + " invoke shared\n}\n}\nother.example.com {\n invoke shared\n}", ""},
		"after the host was changed":        {"http://mcp.example.com, http://inner.example.com {\n @inner host inner.example.com\n route {\n handle @inner {\n mcp /mcp " + block + "}\n request_header Host inner.example.com\n route @inner {\n mcp /mcp " + block + "}\n}\n}", ""},
		"one of them":                       {"mcp.example.com {\n mcp /mcp " + block + "}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := load(t, tc.caddyfile)
			if err == nil != (tc.want == "") || err != nil && !strings.Contains(err.Error(), " at "+tc.want+":") {
				t.Errorf("%v, want it to name %q", err, tc.want)
			}
		})
	}
}

// load is what "caddy validate" does.
func load(t *testing.T, caddyfile string) error {
	t.Helper()
	adapted, err := adapt(t, "{\nadmin off\nlog {\noutput discard\n}\n}\n"+caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	config := &caddy.Config{}
	if err := json.Unmarshal([]byte(adapted), config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(config)
}

func TestBothHandlersAtOneAddressAreNamed(t *testing.T) {
	const login = " oauth https://auth.example.com\n"
	for caddyfile, want := range map[string]string{
		"mcp /mcp {\n stdio one -x\n" + login + "}\n mcp /mcp {\n stdio two\n" + login + "}":                          `mcp with "stdio one" and mcp with "stdio two" stand at mcp.example.com/mcp: the first`,
		"mcp_oauth /mcp {\n" + login + "}\n mcp /mcp {\n stdio two\n" + login + " handle {\n}\n}":                     `mcp_oauth with "oauth https://auth.example.com" and mcp with "stdio two" stand at mcp.example.com/mcp: the first`,
		"mcp /mcp {\n stdio one\n" + login + "}\n mcp /mcp {\n stdio two\n anonymous public\n}":                       `mcp with "stdio one" and mcp with "stdio two" stand at mcp.example.com/mcp: the first`,
		"mcp_oauth {\n" + login + "}\n mcp /mcp {\n stdio two\n" + login + "}":                                        `stand at mcp.example.com/mcp: the first would answer all requests, and the second none; put both into a route block, the second before the first, give`,
		"handle {\n mcp /mcp {\n stdio one\n" + login + "}\n}\n handle {\n mcp /mcp {\n stdio two\n" + login + "}\n}": `and the second none; give each a path of its own`,
	} {
		if err := load(t, "mcp.example.com {\n "+caddyfile+"\n}"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// The route that brings the check in is gone when it has been made, and those of the operator
// stay. Caddy provisions them in any order, so the start looks at them, too.
func TestNamedRoutesAreLeftAsTheyAre(t *testing.T) {
	p := provision(t, "&(one) {\n mcp /mcp "+block+"}\n&(mcp_addresses) {\n respond 404\n}\nmcp.example.com {\n mcp /other "+block+" invoke one\n invoke mcp_addresses\n}")
	if routes := p.http.Servers["srv0"].NamedRoutes; len(routes) != 2 || routes["one"] == nil || routes["mcp_addresses"] == nil {
		t.Errorf("named routes %v", routes)
	}
	q := provision(t, "&(one) {\n mcp /mcp "+block+"}\nmcp.example.com {\n mcp /other "+block+" invoke one\n}")
	if routes := q.http.Servers["srv0"].NamedRoutes; len(routes) != 1 || routes["one"] == nil {
		t.Errorf("named routes %v", routes)
	}
	// Of two that only named routes lead to, one may come after the check. The start sees both.
	routes := "&(one) {\n mcp /mcp " + block + "}\n&(two) {\n mcp /mcp " + block + "}\nmcp.example.com {\n invoke one\n invoke two\n}"
	adapted, err := adapt(t, "{\nadmin off\nlog {\noutput discard\n}\n}\n"+routes)
	if err != nil {
		t.Fatal(err)
	}
	config := &caddy.Config{}
	if err := json.Unmarshal([]byte(adapted), config); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(config)
	if err == nil {
		var own any
		if own, err = ctx.App("mcp"); err == nil {
			err = own.(*App).Start()
		}
	}
	if err == nil || !strings.Contains(err.Error(), "stand at mcp.example.com/mcp") {
		t.Errorf("%v", err)
	}
}
