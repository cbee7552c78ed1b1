package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// withIssuerMetadata is a block of which clients of 2025-03-26 find the issuer.
func withIssuerMetadata(issuer string) string {
	return "{\n\tstdio snapshotd\n\toauth " + issuer + " {\n\t\tissuer_metadata\n\t}\n}\n"
}

func TestSelfCheckSeesWhereTheIssuersMetadataIsUnreachable(t *testing.T) {
	block := withIssuerMetadata("https://auth.example.com")
	for name, tc := range map[string]struct {
		caddyfile string
		reachable bool
	}{
		"top level":               {"mcp.example.com {\n mcp /mcp " + block + "}", true},
		"no path":                 {"mcp.example.com {\n mcp " + block + "}", true},
		"in a handle of its own":  {"mcp.example.com {\n @m path /mcp /.well-known/*\n handle @m {\n mcp /mcp " + block + "}\n}", true},
		"in handle /mcp*":         {"mcp.example.com {\n handle /mcp* {\n mcp /mcp " + block + "}\n}", false},
		"the resource's own only": {"mcp.example.com {\n @m path /mcp /.well-known/oauth-protected-resource*\n handle @m {\n mcp /mcp " + block + "}\n}", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			o := p.oauths[0]
			trails := trailsTo(p.http, o)
			o.start(trails, nil)
			t.Cleanup(func() {
				if err := o.Cleanup(); err != nil {
					t.Error(err)
				}
			})
			if o.keeper.fault != nil || !o.served.issuer {
				t.Fatalf("served %+v, %v", o.served, o.keeper.fault)
			}
			if ok, blocked := reaches(trails, o, "https://mcp.example.com"+oauth.IssuerMetadataPath); ok != tc.reachable {
				t.Errorf("reachable: %v (%s)", ok, blocked)
			}
		})
	}
}

// The default resource is found though the document has a path beside it.
func TestIssuerMetadataLeavesTheResourceAsItIs(t *testing.T) {
	var asked atomic.Int32
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Write([]byte(`{ "issuer":"` + issuer.URL + `","x":0.10}`))
	}))
	t.Cleanup(issuer.Close)
	o := started(t, "mcp.example.com {\n mcp /mcp "+withIssuerMetadata(issuer.URL)+"}")
	if o.Resource != "https://mcp.example.com/mcp" || asked.Load() != 0 {
		t.Errorf("resource %s, the issuer was asked %d times before anyone wanted to know", o.Resource, asked.Load())
	}
	w, passed := serve(t, o, http.MethodGet, oauth.IssuerMetadataPath)
	if passed || w.Code != http.StatusOK || w.Body.String() != `{ "issuer":"`+issuer.URL+`","x":0.10}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, path := range []string{oauth.IssuerMetadataPath + "/", oauth.IssuerMetadataPath + "/mcp", strings.ToUpper(oauth.IssuerMetadataPath)} {
		if w, passed := serve(t, o, http.MethodGet, path); passed || w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
