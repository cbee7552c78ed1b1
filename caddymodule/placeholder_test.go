package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

func principal(claims map[string]any) *oauth.Principal {
	return &oauth.Principal{
		Issuer: "https://auth.example.com", Subject: "alice", User: "h67l22ladaxbogmejh2vtaxvkm", ClientID: "client", Claims: claims,
	}
}

func TestTemplateFillsInTheUserOnce(t *testing.T) {
	t.Setenv("SNAPGATE_TEST_BASE", "/srv/{mcp.subject}")
	p := principal(map[string]any{"email": "{env.HOME}", "org": map[string]any{"id": int64(9007199254740993)}, "admin": true})
	for input, want := range map[string]string{
		"plain":                            "plain",
		"/var/{mcp.user}/x.db":             "/var/h67l22ladaxbogmejh2vtaxvkm/x.db",
		"{mcp.subject}-{mcp.client_id}":    "alice-client",
		"{mcp.issuer}":                     "https://auth.example.com",
		"{mcp.claims.email}":               "{env.HOME}",           // what a token says is not expanded again
		"{env.SNAPGATE_TEST_BASE}/x":       "/srv/{mcp.subject}/x", // nor is what the environment says
		"{mcp.claims.org.id}":              "9007199254740993",
		"{mcp.claims.admin}":               "true",
		`{"json": {"user": "{mcp.user}"}}`: `{"json": {"user": "h67l22ladaxbogmejh2vtaxvkm"}}`,
	} {
		parsed, err := parseTemplate(caddy.NewReplacer(), input)
		if err != nil {
			t.Errorf("%s: %v", input, err)
			continue
		}
		if got, err := parsed.expand(p); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", input, got, err, want)
		}
	}
}

func TestTemplateRefusesValuesThatAreMoreThanAName(t *testing.T) {
	for name, value := range map[string]any{
		"missing":   nil,
		"empty":     "",
		"a slash":   "a/b",
		"backslash": `a\b`,
		"dots":      "..",
		"hidden":    ".ssh",
		"an option": "--config",
		"newline":   "a\nb",
		"NUL":       "a\x00b",
		"a list":    []any{"a"},
		"an object": map[string]any{"a": 1},
	} {
		parsed, err := parseTemplate(caddy.NewReplacer(), "/var/{mcp.claims.name}/x")
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]any{}
		if value != nil {
			claims["name"] = value
		}
		if got, err := parsed.expand(principal(claims)); err == nil {
			t.Errorf("%s: expanded to %q", name, got)
		}
	}
}

func TestTemplateNeedsAVerifiedUser(t *testing.T) {
	parsed, err := parseTemplate(caddy.NewReplacer(), "{mcp.user}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.expand(nil); err == nil || !strings.Contains(err.Error(), "verified user") {
		t.Errorf("error = %v", err)
	}
}

func TestLaunchDigestTellsUsersApartOnlyWhereTemplatesDo(t *testing.T) {
	bob := principal(nil)
	bob.Subject, bob.User = "bob", "bobbobbobbobbobbobbobbobbo"
	digest := func(s *Stdio, p *oauth.Principal) string {
		templates, err := s.parse(caddy.NewReplacer())
		if err != nil {
			t.Fatal(err)
		}
		launch, err := templates.launch(p)
		if err != nil {
			t.Fatal(err)
		}
		env := strings.Join(launch.Process.Env, "\n")
		if !strings.Contains(env, "SNAPGATE_USER="+p.User) {
			t.Errorf("environment of %s: %s", p.Subject, env)
		}
		return launch.Digest
	}
	fixed := &Stdio{Command: []string{"server"}, Env: map[string]string{"A": "1"}}
	if digest(fixed, principal(nil)) != digest(fixed, bob) {
		t.Error("equal launches have different digests")
	}
	perUser := &Stdio{Command: []string{"server"}, Env: map[string]string{"A": "{mcp.user}"}}
	if digest(perUser, principal(nil)) == digest(perUser, bob) {
		t.Error("different launches have equal digests")
	}
}
