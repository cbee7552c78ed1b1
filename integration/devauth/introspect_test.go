package devauth

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

const askerSecret = "of the+asker:"

// ask introspects a token by Basic authentication.
func ask(t *testing.T, srv *Server, id, secret, token string) answer {
	t.Helper()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	return post(t, srv.Issuer()+"/introspect", "application/x-www-form-urlencoded", form.Encode(), func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	})
}

func TestIntrospection(t *testing.T) {
	clock := newClock()
	srv := startServer(t, func(c *Config) {
		c.ResourceServers = map[string]string{"gate": askerSecret}
		c.Now = clock.Now
	})
	opaque := mint(t, srv, MintOptions{Subject: "bob", Opaque: true, TTL: time.Minute, Claims: map[string]any{"tenant": "acme"}})
	signed := mint(t, srv, MintOptions{Subject: "bob", TTL: time.Minute})
	_, tokens := obtainTokens(t, srv, "bob")
	for name, token := range map[string]string{"opaque": opaque, "signed": signed, "issued": tokens.text(t, "access_token")} {
		got := ask(t, srv, "gate", askerSecret, token)
		members := got.json(t)
		if got.status != http.StatusOK || members["active"] != true || members["sub"] != "bob" || members["aud"] != testResource || members["iss"] != srv.Issuer() ||
			(members["tenant"] == "acme") != (name == "opaque") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	form := url.Values{"token": {opaque}, "client_id": {"gate"}, "client_secret": {askerSecret}}
	if got := postForm(t, srv.Issuer()+"/introspect", form); got.json(t)["active"] != true {
		t.Errorf("with the secret in the form: %d %s", got.status, got.body)
	}

	forged := mint(t, srv, MintOptions{Sign: SignForgedKey})
	revoked := mint(t, srv, MintOptions{Opaque: true})
	srv.Revoke(revoked)
	inactive := func(when string, tokens ...string) {
		for _, token := range tokens {
			if got := ask(t, srv, "gate", askerSecret, token); got.status != http.StatusOK || got.body != "{\"active\":false}\n" {
				t.Errorf("%s: %d %s", when, got.status, got.body)
			}
		}
	}
	inactive("no good token", forged, revoked, "unknown", "a.b.c")
	clock.advance(time.Minute)
	inactive("ended", opaque, signed)
}

func TestIntrospectionIsForResourceServersOnly(t *testing.T) {
	srv := startServer(t, func(c *Config) { c.ResourceServers = map[string]string{"gate": askerSecret} })
	token := mint(t, srv, MintOptions{Opaque: true})
	for _, c := range []struct{ id, secret string }{{"gate", "wrong"}, {"gate", ""}, {"stranger", askerSecret}, {"stranger", ""}, {publicClient(t, srv), ""}} {
		got := ask(t, srv, c.id, c.secret, token)
		if got.status < 400 || got.status >= 500 || got.text(t, "error") != "invalid_client" {
			t.Errorf("%q with %q: %d %s", c.id, c.secret, got.status, got.body)
		}
	}
	if got := get(t, srv.Issuer()+"/.well-known/oauth-authorization-server").json(t); got["introspection_endpoint"] != srv.Issuer()+"/introspect" {
		t.Errorf("metadata names %v", got["introspection_endpoint"])
	}
	bare := startServer(t, nil)
	if got := ask(t, bare, "", "", token); got.status < 400 {
		t.Errorf("asked nobody, got %d %s", got.status, got.body)
	}
	if got := get(t, bare.Issuer()+"/.well-known/oauth-authorization-server").json(t); got["introspection_endpoint"] != nil {
		t.Errorf("without resource servers metadata names %v", got["introspection_endpoint"])
	}
}
