package oauth

import "testing"

func TestComparableTarget(t *testing.T) {
	for uri, want := range map[string]string{
		"https://a.example/mcp":          "https://a.example/mcp",
		"HTTPS://A.Example:443/mcp?x#y":  "https://a.example/mcp",
		"http://a.example:80":            "http://a.example/",
		"https://a.example:/":            "https://a.example/",
		"https://a.example?x":            "https://a.example/",
		"https://a.example:8443/":        "https://a.example:8443/",
		"http://a.example:443/":          "http://a.example:443/",
		"https://[::1]:443/mcp":          "https://[::1]/mcp",
		"https://a.example/%7euser/%c3":  "https://a.example/~user/%C3",
		"https://a.example/a%2fb":        "https://a.example/a%2Fb",
		"https://a.example/a%252fb":      "https://a.example/a%252fb",
		"https://a.example/mcp/":         "https://a.example/mcp/",
		"https://a.example/MCP":          "https://a.example/MCP",
		"https://a.example/x/../mcp":     "https://a.example/x/../mcp", // no client writes it so
		"":                               "",
		"/mcp":                           "",
		"a.example/mcp":                  "",
		"https:///mcp":                   "",
		"https://:443/":                  "",
		"https:a.example":                "",
		"ftp://a.example/":               "",
		"https://user@a.example/":        "",
		"https://a.example/a b":          "",
		"https://ä.example/":             "",
		"https://a.example/%zz":          "",
		"https://a.example/\n":           "",
		"https://a.example\\@b.example/": "",
	} {
		got, ok := comparableTarget(uri)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, want %q", uri, got, want)
		}
	}
}
