package oauth

import (
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"
)

func TestChallenge(t *testing.T) {
	const metadata = "https://example.com/.well-known/oauth-protected-resource/mcp"
	tests := []struct {
		name   string
		err    *Error
		scopes []string
		want   string
	}{
		{
			"no token: no error", noToken("no Authorization header"), []string{"snapshot:read"},
			`Bearer scope="snapshot:read", resource_metadata="` + metadata + `"`,
		},
		{
			"bad token", refuse("exp"), []string{"a", "b"},
			`Bearer error="invalid_token", error_description="The access token is invalid", scope="a b", resource_metadata="` + metadata + `"`,
		},
		{
			"malformed request", malformed("More than one Authorization header", "x"), nil,
			`Bearer error="invalid_request", error_description="More than one Authorization header", resource_metadata="` + metadata + `"`,
		},
		{
			"scope missing: all that is needed", &Error{Status: 403, Code: CodeInsufficientScope, Scope: []string{"a", "b"}}, []string{"c"},
			`Bearer error="insufficient_scope", scope="a b", resource_metadata="` + metadata + `"`,
		},
		{
			"values that would break out",
			&Error{Status: 401, Code: "a\r\nSet-Cookie: x", Description: `"\ é` + "\x00", Scope: []string{`x", realm="y`, "good", "a b", ""}}, nil,
			`Bearer error="a??Set-Cookie: x", error_description="?? ??", scope="good", resource_metadata="` + metadata + `"`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			test.err.WriteChallenge(h, metadata, test.scopes)
			if got := h.Get("WWW-Authenticate"); got != test.want {
				t.Errorf("challenge is\n%s, want\n%s", got, test.want)
			}
			if h.Get("Retry-After") != "" {
				t.Error("Retry-After is set")
			}
		})
	}
}

// 503 is no challenge: a client that saw one would fetch a new token in vain.
func TestUnavailableSaysWhenToComeBack(t *testing.T) {
	for after, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", 1500 * time.Millisecond: "2", 10 * time.Second: "10"} {
		h := http.Header{}
		unavailable("x", after, nil).WriteChallenge(h, "https://example.com", nil)
		if h.Get("Retry-After") != want || h.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: %v", after, h)
		}
	}
}

func TestErrorWrapsItsCause(t *testing.T) {
	cause := errors.New("connection refused")
	err := error(unavailable("keys are out of reach", 0, cause))
	if !errors.Is(err, cause) || err.Error() != "keys are out of reach: connection refused" {
		t.Errorf("error is %v", err)
	}
	if got := (&Error{Code: CodeInsufficientScope}).Error(); got != CodeInsufficientScope {
		t.Errorf("error without reason is %q", got)
	}
}

// challengeSyntax is RFC 9110 section 11.6.1, with the values of RFC 6750
// section 3: no quote, backslash or control character can stand in them.
var challengeSyntax = regexp.MustCompile(`^Bearer( [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*)?$`)

func checkChallenge(t *testing.T, challenge string) {
	t.Helper()
	if !challengeSyntax.MatchString(challenge) {
		t.Fatalf("not a challenge: %q", challenge)
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add("invalid_token", "The access token expired", "a:b", "https://example.com/x")
	f.Add("a\"b", "c\\d", "e\r\nf", "https://example.com/\"\r\n")
	f.Add("ü", "\x00\x7f", "", "\xff\xfe")
	f.Fuzz(func(t *testing.T, code, description, scope, metadata string) {
		h := http.Header{}
		e := &Error{Status: 401, Code: code, Description: description}
		e.WriteChallenge(h, metadata, []string{scope, "b"})
		checkChallenge(t, h.Get("WWW-Authenticate"))
		if len(h["Www-Authenticate"]) != 1 {
			t.Fatalf("headers are %v", h)
		}
	})
}
