package oauth

import (
	"strings"
	"testing"
)

func TestCanonicalResource(t *testing.T) {
	for uri, want := range map[string]string{
		"https://example.com/mcp":               "https://example.com/mcp",
		"HTTPS://Example.COM/MCP":               "https://example.com/MCP",
		"https://example.com":                   "https://example.com",
		"https://example.com/":                  "https://example.com",
		"https://example.com/mcp/":              "https://example.com/mcp/",
		"https://example.com:8443/a%2Fb":        "https://example.com:8443/a%2Fb",
		"http://localhost:8080/mcp":             "http://localhost:8080/mcp",
		"http://dev.localhost/mcp":              "http://dev.localhost/mcp",
		"http://127.0.0.1:8080":                 "http://127.0.0.1:8080",
		"http://[::1]:8080/mcp":                 "http://[::1]:8080/mcp",
		"https://xn--bcher-kva.example/katalog": "https://xn--bcher-kva.example/katalog",
	} {
		got, err := CanonicalResource(uri)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", uri, got, err, want)
		}
	}
	for uri, want := range map[string]string{
		"":                            "such as https://",
		"example.com/mcp":             "absolute URL",
		"/mcp":                        "absolute URL",
		"https:///mcp":                "absolute URL",
		"http://example.com/mcp":      "must be https",
		"http://10.0.0.1/mcp":         "must be https",
		"http://localhost.evil.com/":  "must be https",
		"ftp://example.com/mcp":       `not "ftp"`,
		"https://example.com/mcp#x":   "write https://example.com/mcp",
		"https://example.com/mcp#":    "write https://example.com/mcp",
		"https://example.com/mcp?a=b": "write https://example.com/mcp",
		"https://example.com/mcp?":    "write https://example.com/mcp",
		"https://u:p@example.com/mcp": "password",
		"https://example.com:443/mcp": "write https://example.com/mcp",
		"http://localhost:80/mcp":     "write http://localhost/mcp",
		"https://example.com:/mcp":    "write https://example.com/mcp",
		"https://example.com/a/../b":  "no . or ..",
		"https://example.com/a/%2e":   "no . or ..",
		"https://bücher.example/":     "ASCII",
		"https://\u212Aelvin.example": "ASCII",
		"https://example.com/a b":     "percent-encode",
		"https://example.com/\r\nX:":  "percent-encode",
		"https://example.com/\"":      "percent-encode",
		"https://example.com/%zz":     "not a URL",
		"https://{mcp.host}/mcp":      "percent-encode",
	} {
		got, err := CanonicalResource(uri)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want an error with %q", uri, got, err, want)
		}
	}
}

// RFC 9728 section 3.1, with its own example first.
func TestMetadataLocation(t *testing.T) {
	for resource, want := range map[string][2]string{
		"https://resource.example.com/resource1": {"/.well-known/oauth-protected-resource/resource1", "https://resource.example.com/.well-known/oauth-protected-resource/resource1"},
		"https://example.com":                    {"/.well-known/oauth-protected-resource", "https://example.com/.well-known/oauth-protected-resource"},
		"https://example.com/":                   {"/.well-known/oauth-protected-resource", "https://example.com/.well-known/oauth-protected-resource"},
		"https://example.com:8443/a/b/":          {"/.well-known/oauth-protected-resource/a/b/", "https://example.com:8443/.well-known/oauth-protected-resource/a/b/"},
	} {
		if got := MetadataPath(resource); got != want[0] {
			t.Errorf("path of %s is %s", resource, got)
		}
		if got := MetadataURL(resource); got != want[1] {
			t.Errorf("URL of %s is %s", resource, got)
		}
	}
}
