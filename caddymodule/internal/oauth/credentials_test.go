package oauth

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTokenIsTakenFromOnePlace(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		proofs []string // DPoP headers
		query  string
		token  string
		scheme string // default Bearer
		status int
		code   string
	}{
		{name: "a token", header: []string{"Bearer abc.DEF-_~+/=="}, token: "abc.DEF-_~+/=="},
		{name: "scheme in any case, spaces", header: []string{" bEARER   abc "}, token: "abc"},
		{name: "a bound token and its proof", header: []string{"DPoP abc"}, proofs: []string{"x"}, token: "abc", scheme: SchemeDPoP},
		{name: "DPoP in any case", header: []string{"dpop  abc "}, proofs: []string{"x"}, token: "abc", scheme: SchemeDPoP},
		{name: "a proof that is not asked for", header: []string{"Bearer abc"}, proofs: []string{"x", "y"}, token: "abc"},
		{name: "RFC 9449 4.3.1: no proof", header: []string{"DPoP abc"}, status: 401, code: "invalid_dpop_proof"},
		{name: "RFC 9449 4.3.1: two proofs", header: []string{"DPoP abc"}, proofs: []string{"x", "x"}, status: 401, code: "invalid_dpop_proof"},
		{name: "RFC 9449 7.1: no token68", header: []string{`DPoP token="abc"`}, proofs: []string{"x"}, status: 400, code: "invalid_request"},
		{name: "two schemes in one header", header: []string{"DPoP a, Bearer b"}, proofs: []string{"x"}, status: 400, code: "invalid_request"},
		{name: "two headers of bound and unbound tokens", header: []string{"DPoP a", "Bearer b"}, proofs: []string{"x"}, status: 400, code: "invalid_request"},
		{name: "bound token in the query", header: []string{"DPoP a"}, proofs: []string{"x"}, query: "access_token=a", status: 400, code: "invalid_request"},
		{name: "other query", header: []string{"Bearer abc"}, query: "token=x&sort=access_token", token: "abc"},
		{name: "no header", status: 401},
		{name: "empty header", header: []string{""}, status: 401},
		{name: "another scheme", header: []string{"Basic YTpi"}, status: 401},
		{name: "scheme of another name", header: []string{"Bearertoken abc"}, status: 401},
		{name: "no token", header: []string{"Bearer"}, status: 400, code: "invalid_request"},
		{name: "empty token", header: []string{"Bearer  "}, status: 400, code: "invalid_request"},
		{name: "two tokens in one header", header: []string{"Bearer a, Bearer b"}, status: 400, code: "invalid_request"},
		{name: "two headers", header: []string{"Bearer a", "Bearer b"}, status: 400, code: "invalid_request"},
		{name: "two headers of two schemes", header: []string{"Basic YTpi", "Bearer b"}, status: 400, code: "invalid_request"},
		{name: "quoted token", header: []string{`Bearer "abc"`}, status: 400, code: "invalid_request"},
		{name: "token with a control character", header: []string{"Bearer a\x00b"}, status: 400, code: "invalid_request"},
		{name: "token beyond ASCII", header: []string{"Bearer ä"}, status: 400, code: "invalid_request"},
		{name: "padding alone", header: []string{"Bearer =="}, status: 400, code: "invalid_request"},
		{name: "padding inside", header: []string{"Bearer a=b"}, status: 400, code: "invalid_request"},
		{name: "token in the query", query: "access_token=abc", status: 400, code: "invalid_request"},
		{name: "token in header and query", header: []string{"Bearer abc"}, query: "a=b&access_token=abc", status: 400, code: "invalid_request"},
		{name: "token in the query, escaped", query: "%61ccess%5Ftoken=abc", status: 400, code: "invalid_request"},
		{name: "token in the query, in capitals", query: "ACCESS_TOKEN=abc", status: 400, code: "invalid_request"},
		{name: "token in the query after a semicolon", query: "a;access_token=abc", status: 400, code: "invalid_request"},
		{name: "token in the query without value", query: "access_token", status: 400, code: "invalid_request"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &http.Request{URL: &url.URL{RawQuery: test.query}, Header: http.Header{}}
			if test.header != nil {
				r.Header["Authorization"] = test.header
			}
			r.Header["Dpop"] = test.proofs
			c, refusal := requestCredentials(r, "")
			if test.status != 0 {
				if refusal == nil || refusal.Status != test.status || refusal.Code != test.code || c != (credentials{}) {
					t.Errorf("%+v, error %#v", c, refusal)
				}
				return
			}
			want := credentials{scheme: cmp.Or(test.scheme, SchemeBearer), token: test.token}
			if want.scheme == SchemeDPoP {
				want.proof = test.proofs[0]
			}
			if refusal != nil || c != want {
				t.Errorf("%+v, error %v, want %+v", c, refusal, want)
			}
		})
	}
}

func TestAssertionIsTakenFromTheHeaderOfThePlatform(t *testing.T) {
	const name = "Cf-Access-Jwt-Assertion"
	tests := []struct {
		name   string
		header http.Header
		query  string
		status int
	}{
		{name: "an assertion", header: http.Header{name: {" abc "}}},
		{name: "what the platform was sent stands beside it", header: http.Header{name: {"abc"}, "Authorization": {"Bearer b", "Basic c"}, "Dpop": {"x"}}},
		{name: "none", header: http.Header{}, status: 401},
		{name: "a token in Authorization only", header: http.Header{"Authorization": {"Bearer abc"}}, status: 401},
		{name: "two", header: http.Header{name: {"abc", "abc"}}, status: 400},
		{name: "two in one", header: http.Header{name: {"abc, abc"}}, status: 400},
		{name: "empty", header: http.Header{name: {""}}, status: 400},
		{name: "with a scheme", header: http.Header{name: {"Bearer abc"}}, status: 400},
		{name: "beside a token in the query", header: http.Header{name: {"abc"}}, query: "access_token=x", status: 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, refusal := requestCredentials(&http.Request{URL: &url.URL{RawQuery: test.query}, Header: test.header}, name)
			if test.status == 0 {
				if refusal != nil || c != (credentials{token: "abc"}) {
					t.Errorf("%+v, error %v", c, refusal)
				}
				return
			}
			if refusal == nil || refusal.Status != test.status || c != (credentials{}) {
				t.Errorf("%+v, error %#v", c, refusal)
			}
		})
	}
}

// Whatever comes in, a token that is handed on has only the characters of one,
// and a refusal repeats nothing of the request.
func FuzzAuthorization(f *testing.F) {
	f.Add("Bearer abc", "", "")
	f.Add("bearer\tabc", "access_token=abc", "a.b.c")
	f.Add("DPoP a b", "a=%zz;b", "")
	f.Add("dPoP abc", "", "a.b.c")
	f.Add("Bearer \r\nX: y", "%", "")
	f.Fuzz(func(t *testing.T, header, query, proof string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Authorization": {header}, "Dpop": {proof}}}
		c, refusal := requestCredentials(r, "")
		if refusal == nil {
			scheme, rest, _ := strings.Cut(strings.Trim(header, " \t"), " ")
			if !isToken68(c.token) || strings.TrimLeft(rest, " ") != c.token || !strings.EqualFold(scheme, c.scheme) {
				t.Fatalf("%+v from %q", c, header)
			}
			if want := map[string]string{SchemeBearer: "", SchemeDPoP: proof}; c.proof != want[c.scheme] || c.scheme == "" {
				t.Fatalf("%+v from %q", c, header)
			}
			return
		}
		if c != (credentials{}) || refusal.Status != 400 && refusal.Status != 401 || (refusal.Status == 401) != (refusal.Code == "") || refusal.Reason == "" {
			t.Fatalf("%+v, error %#v", c, refusal)
		}
		h := http.Header{}
		refusal.WriteChallenge(h, "https://example.com/.well-known/oauth-protected-resource", nil, bothSchemes)
		checkChallenges(t, h)
	})
}

// What the gateway would refuse for a token in the query must not leave it in a log.
func TestTokensInAQueryAreRedacted(t *testing.T) {
	for query, want := range map[string]string{
		"":                                "",
		"a=1&b=2":                         "",
		"access_token_hint=x":             "",
		"access_token=the-token":          "access_token=MARK",
		"a=1&access_token=the-token&b=2":  "a=1&access_token=MARK&b=2",
		"a=1;access_token=the-token;b=2":  "a=1;access_token=MARK;b=2",
		"Access_Token=the-token":          "Access_Token=MARK",
		"%61ccess%5Ftoken=the-token":      "%61ccess%5Ftoken=MARK",
		"access_token=the-token=the=more": "access_token=MARK",
		"access_token=the-token&access_token=the-other&": "access_token=MARK&access_token=MARK&",
		"access_token":                    "access_token=MARK",
		"%zz=1&access_token=the-token%zz": "%zz=1&access_token=MARK",
	} {
		got, found := RedactQuery(query, "MARK")
		if found != (want != "") || found && got != want || !found && got != query {
			t.Errorf("%q: %q %v", query, got, found)
		}
		if found != queryHasToken(&url.URL{RawQuery: query}) {
			t.Errorf("%q is refused and redacted unlike", query)
		}
	}
}

// An address may stand in another, as that of the page to come back to after a login. It is no
// token that is offered, so no reason to refuse, but none that may be logged.
func TestTokensInAnAddressWithinAQueryAreRedacted(t *testing.T) {
	for query, want := range map[string]string{
		"next=/mcp?a=1":                                              "",
		"next=%2Fmcp%3Fa%3D1&b=2":                                    "",
		"next=/mcp?access_token=the-token":                           "next=MARK",
		"b=2&next=%2Fmcp%3Faccess_token%3Dthe-token;c=3":             "b=2&next=MARK;c=3",
		"next=%2Fmcp%3Fa%3D1%26Access_Token%3Dthe-token":             "next=MARK",
		"next=%2Fcallback%23access_token%3Dthe-token":                "next=MARK",
		"next=%2Fa%3Fnext%3D%252Fmcp%253Faccess_token%253Dthe-token": "next=MARK",
		// servers read on behind a % that begins no escape
		"next=%2Fmcp%3Faccess_token%3Dthe-token%26rate%3D100%": "next=MARK",
		"next=%zz%2Fmcp%3Faccess_token%3Dthe-token":            "next=MARK",
		// the address is all there is
		"/mcp?access_token=the-token":         "MARK",
		"%2Fmcp%3Faccess_token%3Dthe-token":   "MARK",
		"done#access_token=the-token":         "MARK",
		"?access_token=the-token":             "MARK",
		"</style.css?2>, </x?access_token=t>": "MARK",
		"/mcp?a=1":                            "",
		"x?????????":                          "",
	} {
		got, found := RedactQuery(query, "MARK")
		if found != (want != "") || found && got != want || !found && got != query {
			t.Errorf("%q: %q %v", query, got, found)
		}
		if queryHasToken(&url.URL{RawQuery: query}) {
			t.Errorf("%q is taken for a token", query)
		}
	}
}

// However many addresses stand in one another, no more than a few are looked at.
func TestAddressesWithinAddressesAreBounded(t *testing.T) {
	query := strings.Repeat("a=?", 1<<18)
	if got, found := RedactQuery(query, "MARK"); !found || got != "a=MARK" {
		t.Errorf("%.20q %v", got, found)
	}
}
