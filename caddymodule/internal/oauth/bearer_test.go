package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTokenFromRequest(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		query  string
		token  string
		status int
		code   string
	}{
		{name: "a token", header: []string{"Bearer abc.DEF-_~+/=="}, token: "abc.DEF-_~+/=="},
		{name: "scheme in any case, spaces", header: []string{" bEARER   abc "}, token: "abc"},
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
			token, err := TokenFromRequest(r)
			if test.status == 0 {
				if err != nil || token != test.token {
					t.Fatalf("token %q, error %v", token, err)
				}
				return
			}
			e, ok := err.(*Error)
			if !ok || e.Status != test.status || e.Code != test.code || token != "" {
				t.Errorf("token %q, error %#v", token, err)
			}
		})
	}
}

// Whatever comes in, a token that is handed on has only the characters of one,
// and a refusal repeats nothing of the request.
func FuzzTokenFromRequest(f *testing.F) {
	f.Add("Bearer abc", "")
	f.Add("bearer\tabc", "access_token=abc")
	f.Add("Bearer a b", "a=%zz;b")
	f.Add("Bearer \r\nX: y", "%")
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Authorization": {header}}}
		token, err := TokenFromRequest(r)
		if err == nil {
			if !isToken68(token) || !strings.Contains(header, token) || !strings.EqualFold(strings.TrimLeft(header, " \t")[:6], "bearer") {
				t.Fatalf("token %q from %q", token, header)
			}
			return
		}
		e, ok := err.(*Error)
		if !ok || e.Status != 400 && e.Status != 401 || (e.Status == 401) != (e.Code == "") || e.Reason == "" {
			t.Fatalf("error %#v", err)
		}
		h := http.Header{}
		e.WriteChallenge(h, "https://example.com/.well-known/oauth-protected-resource", nil)
		checkChallenge(t, h.Get("WWW-Authenticate"))
	})
}
