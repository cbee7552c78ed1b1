package caddymodule

import (
	"strings"
	"testing"
)

func TestTwoHandlersAtOneAddressAreRefused(t *testing.T) {
	const open = "{\n stdio snapshotd\n anonymous\n}\n"
	const proxied = "{\n oauth https://auth.example.com\n}\n"
	for name, tc := range map[string]struct{ caddyfile, want string }{
		"the same path":                   {"mcp.example.com {\n mcp /mcp " + block + " mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"the same path in other case":     {"mcp.example.com {\n mcp /mcp " + block + " mcp /MCP " + block + "}", "mcp.example.com/mcp"},
		"no path":                         {"mcp.example.com {\n mcp " + block + " mcp " + block + "}", "mcp.example.com/"},
		"before a proxy and before stdio": {"mcp.example.com {\n mcp_oauth /mcp " + proxied + " mcp /mcp " + block + "}", "mcp.example.com/mcp"},
		"with login and without":          {"http://localhost {\n mcp /mcp " + block + " mcp /mcp " + open + "}", "localhost/mcp"},
		"in two handles":                  {"mcp.example.com {\n handle {\n mcp /mcp " + block + "}\n handle {\n mcp /mcp " + block + "}\n}", "mcp.example.com/mcp"},
		"under one of two names":          {"a.example, b.example {\n mcp /mcp " + block + "}\nb.example:8443 {\n mcp /mcp " + block + "}", ""}, // another server
		"another path":                    {"mcp.example.com {\n mcp /mcp " + block + " mcp /other " + block + "}", ""},
		"another host":                    {"a.example {\n mcp /mcp " + block + "}\nb.example {\n mcp /mcp " + block + "}", ""},
		"behind a matcher":                {"mcp.example.com {\n @x header X-Beta 1\n handle @x {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}", ""},
		"behind a prefix that is cut off": {"mcp.example.com {\n handle_path /a/* {\n mcp /mcp " + block + "}\n mcp /mcp " + block + "}", ""},
		"one of them":                     {"mcp.example.com {\n mcp /mcp " + block + "}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			var handlers []starter
			var trails [][]trail
			for _, o := range p.oauths {
				handlers, trails = append(handlers, o), append(trails, trailsTo(p.http, o))
			}
			for _, s := range p.stdios {
				handlers, trails = append(handlers, s), append(trails, trailsTo(p.http, s))
			}
			err := checkTwice(handlers, trails)
			if err == nil != (tc.want == "") || err != nil && !strings.Contains(err.Error(), " at "+tc.want+":") {
				t.Errorf("%v, want it to name %q", err, tc.want)
			}
		})
	}
}
