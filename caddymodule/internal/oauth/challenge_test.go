package oauth

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	bearerOnly  = []Scheme{{Name: SchemeBearer}}
	dpopOnly    = []Scheme{{Name: SchemeDPoP, Algorithms: []string{"ES256", "EdDSA"}}}
	bothSchemes = []Scheme{bearerOnly[0], dpopOnly[0]}
)

func TestChallenge(t *testing.T) {
	const metadata = "https://example.com/.well-known/oauth-protected-resource/mcp"
	const where, algs = `resource_metadata="` + metadata + `"`, `algs="ES256 EdDSA", `
	const invalid = `error="invalid_token", error_description="The access token is invalid", `
	tests := []struct {
		name    string
		err     *Error
		scopes  []string
		schemes []Scheme
		want    []string
	}{
		{
			"RFC 6750 3: no token, no error", noToken("no Authorization header"), []string{"snapshot:read"}, bearerOnly,
			[]string{`Bearer scope="snapshot:read", ` + where},
		},
		{
			"RFC 6750 3.1: bad token", refuse("exp"), []string{"a", "b"}, bearerOnly,
			[]string{`Bearer ` + invalid + `scope="a b", ` + where},
		},
		{
			"RFC 6750 3.1: malformed request", malformed("More than one Authorization header", "x"), nil, bearerOnly,
			[]string{`Bearer error="invalid_request", error_description="More than one Authorization header", ` + where},
		},
		{
			"RFC 6750 3.1: scope missing, all that is needed", &Error{Status: 403, Code: CodeInsufficientScope, Scope: []string{"a", "b"}}, []string{"c"}, bothSchemes,
			[]string{`Bearer error="insufficient_scope", scope="a b", ` + where},
		},
		{
			"RFC 9449 7.1: no token, both schemes", noToken("x"), nil, bothSchemes,
			[]string{`Bearer ` + where, `DPoP ` + algs + where},
		},
		{
			"RFC 9449 7.2: bound token sent as a bearer token", refuse("cnf"), nil, bothSchemes,
			[]string{`Bearer ` + invalid + where, `DPoP ` + algs + where},
		},
		{
			"RFC 9449 7.1: bad proof", badProof("x"), nil, bothSchemes,
			[]string{`Bearer ` + where, `DPoP error="invalid_dpop_proof", error_description="The DPoP proof is invalid", ` + algs + where},
		},
		{
			"RFC 9449 7.1: scope missing of a bound token", &Error{Status: 403, Code: CodeInsufficientScope, Scheme: SchemeDPoP, Scope: []string{"a"}}, nil, bothSchemes,
			[]string{`DPoP error="insufficient_scope", scope="a", ` + algs + where},
		},
		{
			"RFC 9449 7.1: bearer token where only bound ones are taken", refuse("cnf"), nil, dpopOnly,
			[]string{`DPoP ` + invalid + algs + where},
		},
		{"RFC 9110 15.5.4: nothing that the client could do", &Error{Status: 403, Code: CodeInvalidToken}, nil, nil, nil},
		{
			"values that would break out",
			&Error{Status: 401, Code: "a\r\nSet-Cookie: x", Description: `"\ é` + "\x00", Scope: []string{`x", realm="y`, "good", "a b", ""}}, nil, bearerOnly,
			[]string{`Bearer error="a??Set-Cookie: x", error_description="?? ??", scope="good", ` + where},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			test.err.WriteChallenge(h, metadata, test.scopes, test.schemes)
			if got := h.Values("WWW-Authenticate"); !slices.Equal(got, test.want) {
				t.Errorf("challenges are\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
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
		unavailable("x", after, nil).WriteChallenge(h, "https://example.com", nil, bothSchemes)
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
var challengeSyntax = regexp.MustCompile(`^(Bearer|DPoP)( [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*)?$`)

// checkChallenges holds that each field is one challenge, and returns its parameters.
func checkChallenges(t *testing.T, h http.Header) []map[string]string {
	t.Helper()
	if len(h) != 1 {
		t.Fatalf("headers are %v", h)
	}
	var parsed []map[string]string
	for _, field := range h.Values("WWW-Authenticate") {
		if !challengeSyntax.MatchString(field) {
			t.Fatalf("not a challenge: %q", field)
		}
		scheme, rest, _ := strings.Cut(field, " ")
		parameters := map[string]string{"scheme": scheme}
		for rest != "" {
			name, value, _ := strings.Cut(rest, `="`)
			value, rest, _ = strings.Cut(value, `"`)
			rest = strings.TrimPrefix(rest, ", ")
			if _, twice := parameters[name]; twice {
				t.Fatalf("%s stands twice in %q", name, field)
			}
			parameters[name] = value
		}
		parsed = append(parsed, parameters)
	}
	return parsed
}

// Whatever is written, the challenges parse back to it, and nothing else: no field, no
// challenge and no parameter can be smuggled in.
func FuzzChallenge(f *testing.F) {
	f.Add("invalid_token", "The access token expired", "a:b", "https://example.com/x", "ES256", false)
	f.Add("a\"b", "c\\d", "e\r\nf", "https://example.com/\"\r\n", "x\", DPoP error=\"y", true)
	f.Add("ü", "\x00\x7f", "", "\xff\xfe", "", true)
	f.Fuzz(func(t *testing.T, code, description, scope, metadata, alg string, dpop bool) {
		e := &Error{Status: 401, Code: code, Description: description}
		used := 0
		if dpop {
			e.Scheme, used = SchemeDPoP, 1
		}
		h := http.Header{"Www-Authenticate": {"of an earlier handler"}}
		e.WriteChallenge(h, metadata, []string{scope, "b"}, []Scheme{{Name: SchemeBearer}, {Name: SchemeDPoP, Algorithms: []string{alg, "x"}}})
		parsed := checkChallenges(t, h)
		if len(parsed) != 2 || parsed[0]["scheme"] != SchemeBearer || parsed[1]["scheme"] != SchemeDPoP {
			t.Fatalf("challenges are %v", parsed)
		}
		want := map[string]string{"error": quotable(code), "error_description": quotable(description)}
		for name, value := range want {
			if code == "" {
				value = ""
			}
			if parsed[used][name] != value || parsed[1-used][name] != "" {
				t.Fatalf("%s: %q and %q, want %q", name, parsed[used][name], parsed[1-used][name], value)
			}
		}
		for i, parameters := range parsed {
			if scopes := strings.Fields(parameters["scope"]); len(scopes) == 0 || len(scopes) > 2 || scopes[len(scopes)-1] != "b" {
				t.Fatalf("scope %q", parameters["scope"])
			}
			if parameters["resource_metadata"] != quotableURL(metadata) || (parameters["algs"] == quotable(alg+" x")) != (i == 1) {
				t.Fatalf("parameters %v", parameters)
			}
		}
	})
}
