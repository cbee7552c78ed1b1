package caddymodule

import "testing"

func TestSelfCheckSeesTheWaysAroundTheToken(t *testing.T) {
	const handler = "{\n oauth https://auth.example.com\n}\n"
	for name, tc := range map[string]struct{ caddyfile, proxy, path string }{
		"the same path":                      {"mcp.example.com {\n mcp_oauth /mcp " + handler + " reverse_proxy /mcp 127.0.0.1:3000\n}", "", ""},
		"all of the site":                    {"mcp.example.com {\n mcp_oauth " + handler + " reverse_proxy 127.0.0.1:3000\n}", "", ""},
		"another server beside it":           {"mcp.example.com {\n mcp_oauth /mcp " + handler + " reverse_proxy /mcp 127.0.0.1:3000\n handle_path /x/* {\n reverse_proxy 127.0.0.1:4000\n}\n}", "", ""},
		"in a handle with its paths":         {"mcp.example.com {\n @mcp path /mcp /.well-known/oauth-protected-resource/*\n handle @mcp {\n mcp_oauth " + handler + " reverse_proxy 127.0.0.1:3000\n}\n}", "", ""},
		"a proxy for all paths":              {"mcp.example.com {\n mcp_oauth /mcp " + handler + " reverse_proxy 127.0.0.1:3000\n}", "reverse_proxy", "/mcp/"},
		"a proxy for all that begins":        {"mcp.example.com {\n mcp_oauth /mcp " + handler + " reverse_proxy /mcp* 127.0.0.1:3000\n}", "reverse_proxy", "/mcp/"},
		"one path in a wide handle":          {"mcp.example.com {\n @mcp path /mcp /.well-known/oauth-protected-resource/*\n handle @mcp {\n mcp_oauth /mcp " + handler + " reverse_proxy 127.0.0.1:3000\n}\n}", "reverse_proxy", "/.well-known/oauth-protected-resource/elsewhere"},
		"files":                              {"mcp.example.com {\n mcp_oauth /mcp " + handler + " root * /srv\n file_server\n}", "file_server", "/mcp/"},
		"a child":                            {"mcp.example.com {\n mcp /mcp " + block + "}", "", ""},
		"a child, and an answer to all else": {"mcp.example.com {\n mcp /mcp " + block + " respond 404\n}", "", ""},
		"a child, and a proxy for all else":  {"mcp.example.com {\n mcp /mcp " + block + " reverse_proxy 127.0.0.1:3000\n}", "", ""},
		"a proxy within a child's way":       {"mcp.example.com {\n mcp /mcp {\n stdio my-server\n oauth https://auth.example.com\n handle {\n reverse_proxy 127.0.0.1:3000\n}\n}\n}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			proxy, path := around(trailsTo(p.http, p.oauths[0]), p.oauths[0])
			if proxy != tc.proxy || path != tc.path {
				t.Errorf("%q is reached by %q, want %q by %q", proxy, path, tc.proxy, tc.path)
			}
		})
	}
}

func TestResourceOfAProxiedServer(t *testing.T) {
	const handler = "{\n oauth https://auth.example.com\n}\n"
	for caddyfile, want := range map[string]string{
		"mcp.example.com {\n mcp_oauth /Tools/mcp " + handler + " reverse_proxy /Tools/mcp 127.0.0.1:3000\n}":                                                       "https://mcp.example.com/Tools/mcp",
		"mcp.example.com {\n mcp_oauth " + handler + " reverse_proxy 127.0.0.1:3000\n}":                                                                             "https://mcp.example.com",
		"mcp.example.com {\n @mcp path /mcp /.well-known/oauth-protected-resource/*\n handle @mcp {\n mcp_oauth " + handler + " reverse_proxy 127.0.0.1:3000\n}\n}": "https://mcp.example.com/mcp",
	} {
		if o := started(t, caddyfile); o.Resource != want {
			t.Errorf("resource %q, want %q", o.Resource, want)
		}
	}
}
