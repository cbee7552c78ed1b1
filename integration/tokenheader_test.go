package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/integration/devauth"
)

const assertionHeader = "Cf-Access-Jwt-Assertion"

// behindPlatform is a site whose users have been logged in by what stands before it.
func behindPlatform() site {
	s := reloadable()
	s.oauth = []string{"token_header " + assertionHeader, "audience 32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"}
	return s
}

// assertion is like those of Cloudflare Access.
func (g *gateway) assertion(t testing.TB, claims object) string {
	t.Helper()
	all := object{
		"client_id": nil, "scope": nil, "jti": nil, "type": "app", "identity_nonce": "6ei69kawdKzMIAPF", "email": "alice@example.com",
		"country": "US", "nbf": time.Now().Unix(), "custom": object{},
	}
	for name, value := range claims {
		all[name] = value
	}
	return g.mint(t, devauth.MintOptions{
		Audience: []string{"32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"}, Claims: all, Header: object{"typ": "JWT"},
	})
}

func TestAssertionOfAPlatformTakesThePlaceOfAToken(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	g := start(t, behindPlatform())
	assertion := g.assertion(t, nil)
	sends := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[assertionHeader] = values }
	}
	for _, c := range []struct {
		holds, name string
		change      func(*http.Request)
		status      int
	}{
		{"RFC 9110 section 15.5.4", "none", func(*http.Request) {}, 403},
		{"RFC 9110 section 15.5.4", "in Authorization", set("Authorization", "Bearer "+assertion), 403},
		{"RFC 7519 section 7.2", "empty", sends(""), 400},
		{"RFC 6750 section 2", "twice", sends(assertion, assertion), 400},
		{"RFC 9110 section 5.3", "twice in one", sends(assertion + ", " + assertion), 400},
		{"RFC 7519 section 7.2", "with a scheme", sends("Bearer " + assertion), 400},
		{"RFC 6750 section 2.3", "beside a token in the query", func(r *http.Request) { sends(assertion)(r); r.URL.RawQuery = "access_token=x" }, 400},
		{"RFC 7519 section 4.1.4", "expired", sends(g.assertion(t, object{"exp": time.Now().Add(-time.Hour).Unix()})), 403},
		{"RFC 7519 section 4.1.1", "of another issuer", sends(g.assertion(t, object{"iss": "https://evil.cloudflareaccess.com"})), 403},
		{"RFC 7519 section 4.1.3", "for another application", sends(g.assertion(t, object{"aud": []string{"x"}})), 403},
		{"RFC 8725 section 3.12", "an id token", sends(g.assertion(t, object{"at_hash": "x"})), 403},
		{"RFC 7800 section 3.1", "bound to a key, which it shows", sends(g.assertion(t, object{"cnf": object{"jkt": strings.Repeat("A", 43)}})), 403},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) {
			for _, p := range []*peer{g.anyone(t, ""), g.modern(t, "")} {
				body := initializeMessage(legacyVersion)
				if p.version == modernVersion {
					body = p.toolCall(1, "echo", nil)
				}
				// There is no login here that a client could follow.
				if a := p.post(body, c.change); a.status != c.status || a.header.Get("WWW-Authenticate") != "" {
					t.Errorf("%d %v %s", a.status, a.header, a.body)
				}
			}
		})
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for requests that were refused", n)
	}
	if status, document := g.resourceMetadata(t); status != http.StatusNotFound {
		t.Errorf("metadata: %d %v", status, document)
	}
	legacy, modern := g.anyone(t, "what-the-platform-was-sent"), g.modern(t, "")
	legacy.prove, modern.prove = sends(assertion), sends(assertion)
	works(t, legacy, modern)
}

// Whatever stands behind sees who the user is, and nothing that could be used in their
// name.
func TestCredentialsGoNoFurther(t *testing.T) {
	t.Parallel()
	alice := newProver(t)
	for name, c := range map[string]struct {
		site    site
		present func(*gateway, *http.Request)
	}{
		"assertion": {behindPlatform(), func(g *gateway, r *http.Request) {
			assertion := g.assertion(t, nil)
			r.Header.Set(assertionHeader, assertion)
			r.Header.Set("Cookie", "CF_Authorization="+assertion)
			r.Header.Set("Authorization", "Bearer what-the-platform-was-sent")
		}},
		"bound token": {reloadable(), func(g *gateway, r *http.Request) {
			alice.present(r, g.mint(t, devauth.MintOptions{Key: alice.key.Public()}), nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, c.site)
			if status, text := g.loadAs(t, "application/json", g.edited(t, "mcp_stdio", tellsWhatItSees)); status != http.StatusOK {
				t.Fatalf("load: %d %s", status, text)
			}
			g.client.CloseIdleConnections()
			a := g.anyone(t, "").post(initializeMessage(legacyVersion), func(r *http.Request) { c.present(g, r) })
			if want := "user " + identity.UserKey(issuer.Issuer(), "alice") + ", saw []"; a.status != http.StatusOK || a.body != want {
				t.Errorf("%d %q, want %q", a.status, a.body, want)
			}
		})
	}
}

// tellsWhatItSees puts a handler of Caddy's own in the place of one.
func tellsWhatItSees(handler object) bool {
	clear(handler)
	handler["handler"] = "static_response"
	handler["body"] = "user {http.auth.user.id}, saw [{http.request.header." + assertionHeader + "}{http.request.header.Authorization}{http.request.header.DPoP}{http.request.header.Cookie}]"
	return true
}

// With an access log, everything at debug level, and all kinds of refusals: nobody who reads
// the logs finds a proof or an assertion.
func TestLogsHoldNoProofAndNoAssertion(t *testing.T) {
	t.Parallel()
	s := behindPlatform()
	s.log = accessLog
	g := start(t, s)
	alice := newProver(t)
	secrets := []string{g.assertion(t, nil), g.assertion(t, object{"aud": []string{"x"}})}
	for _, secret := range secrets {
		p := g.modern(t, "")
		p.post(p.toolCall(1, "echo", object{"text": "x"}), set(assertionHeader, secret))
		p.post(p.toolCall(1, "echo", object{"text": "x"}), set(assertionHeader, secret), add(assertionHeader, secret))
	}
	s.oauth = []string{"dpop {", "	nonce", "}"}
	g.renew(t, s)
	token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
	secrets = append(secrets, token)
	p := alice.presents(g.modern(t, token))
	alice.nonce = p.post(p.toolCall(1, "echo", object{"text": "x"})).header.Get("DPoP-Nonce")
	p.call(1, "echo", object{"text": "x"})
	for _, claims := range []object{{"htm": "GET"}, {"htu": "https://evil.example/"}, {"iat": 1}, {"nonce": nil}, {"ath": "x"}} {
		p.post(p.toolCall(1, "echo", nil), func(r *http.Request) { alice.present(r, token, claims) })
	}
	p.do(http.MethodDelete, "") // 405: the last
	g.logs.await(t, 1, accessed("status", 405.0))
	g.logs.await(t, 2+1+1+5+1, func(e entry) bool { return e["msg"] == "refused" })
	log := g.logs.text()
	for _, secret := range append(secrets, alice.proofs...) {
		// The whole of it, its content, and its signature.
		for i, part := range strings.Split(secret, ".") {
			if i > 0 && strings.Contains(log, part) {
				t.Errorf("part %d of a secret is in the log", i)
			}
		}
	}
}

// Caddy logs the headers of a request for which something behind the gateway failed, with
// the errors, where there is no access log as well.
func TestErrorLogHoldsNoProofAndNoAssertion(t *testing.T) {
	t.Parallel()
	alice := newProver(t)
	for name, s := range map[string]site{"assertion": behindPlatform(), "proof": reloadable()} {
		t.Run(name, func(t *testing.T) {
			g := start(t, s)
			secret := g.assertion(t, nil)
			change := set(assertionHeader, secret)
			if name == "proof" {
				token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
				change = func(r *http.Request) {
					alice.present(r, token, nil)
					secret = r.Header.Get("DPoP")
				}
			}
			fails := func(handler object) bool {
				clear(handler)
				handler["handler"], handler["error"], handler["status_code"] = "error", "what stands behind has failed", 502
				return true
			}
			if status, text := g.loadAs(t, "application/json", g.edited(t, "mcp_stdio", fails)); status != http.StatusOK {
				t.Fatalf("load: %d %s", status, text)
			}
			g.client.CloseIdleConnections()
			if a := g.anyone(t, "").post(initializeMessage(legacyVersion), change); a.status != http.StatusBadGateway {
				t.Fatalf("%d %s", a.status, a.body)
			}
			g.logs.await(t, 1, func(e entry) bool {
				logger, _ := e["logger"].(string)
				return strings.HasPrefix(logger, "http.log.error") && e["request"] != nil
			})
			if strings.Contains(g.logs.text(), secret[strings.LastIndexByte(secret, '.'):]) {
				t.Error("it is in the log")
			}
		})
	}
}
