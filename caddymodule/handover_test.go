package caddymodule

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

func TestCredentialsAndWhatPassesForAnIdentityAreWithheld(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"authorization", "DPoP", "X-Snapgate-User", "x-snapgate-anything", "X_Snapgate_User", "x_snapgate-Subject", "X-Http-Method-Override",
		"X_HTTP_METHOD_OVERRIDE", "X-Method-Override", "Upgrade", "HTTP2-Settings",
		"X-Snapgates", "Content-Type", "X_Mine", "Proxy_Authorization", "Mcp-Session-Id",
	} {
		h.Set(name, "x")
	}
	h["x_snapgate_raw"] = []string{"x"} // as HTTP/2 may have it
	withhold(h, withheld...)
	if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, []string{"Content-Type", "Mcp-Session-Id", "Proxy_authorization", "X-Snapgates", "X_mine"}) {
		t.Errorf("left are %q", got)
	}
}

// Beside the assertion that was verified, one that nobody looked at must not pass for it.
func TestAssertionIsWithheldInEverySpelling(t *testing.T) {
	h := http.Header{"Cf_access_jwt-Assertion": {"forged"}, "Cf-Access-Jwt-Assertion": {"verified"}, "cf_access_jwt_assertion": {"as HTTP/2 may have it"}, "Cf-Ray": {"x"}}
	withhold(h, "Cf-Access-Jwt-Assertion")
	if len(h) != 1 || h.Get("Cf-Ray") == "" {
		t.Errorf("left is %v", h)
	}
}

// Cloudflare Access sends it in a cookie as well.
func TestAssertionIsWithheldWhereverItIsCopied(t *testing.T) {
	h := http.Header{
		"Cookie": {"a=1; CF_Authorization=the.assertion.itself; b=2", "CF_Authorization=the.assertion.itself"},
		"X-Jwt":  {"x", "Bearer the.assertion.itself"}, "X-Other": {"the.assertion"},
	}
	withholdCopies(h, "the.assertion.itself")
	if len(h) != 2 || !slices.Equal(h["Cookie"], []string{"a=1; b=2"}) || h.Get("X-Other") == "" {
		t.Errorf("left is %q", h)
	}
	withholdCopies(h, "")
	if len(h) != 2 {
		t.Errorf("left is %q", h)
	}
}
