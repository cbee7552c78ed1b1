package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"slices"
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

// The metadata of a whole host is at the root, and so on the route of those that have a path there.
func TestMetadataOfAWholeHostIsServedBesidePaths(t *testing.T) {
	const whole, part = "https://mcp.example.com", "https://mcp.example.com/mcp"
	for name, tc := range map[string]struct{ caddyfile, root string }{
		"beside one path":     {"mcp.example.com {\n mcp " + block + " mcp /mcp " + block + "}", whole},
		"behind one path":     {"mcp.example.com {\n route {\n mcp /mcp " + block + " mcp_oauth {\n oauth https://auth.example.com\n}\n}\n}", whole},
		"on another host":     {"mcp.example.com {\n mcp /mcp " + block + "}\nother.example.com {\n mcp " + block + "}", part},
		"behind a path alone": {"mcp.example.com {\n mcp /mcp " + block + "}", part},
		"none on the host":    {"mcp.example.com {\n mcp /mcp " + block + " mcp /other " + block + "}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			handlers := p.handlers()
			startAll(place(p.http, handlers))
			for _, o := range p.oauths {
				t.Cleanup(func() {
					if err := o.Cleanup(); err != nil {
						t.Error(err)
					}
				})
				if ok, blocked := reaches(trailsTo(p.http, o), o, o.address); !ok {
					t.Errorf("the metadata of %s is not reached: %s", o.Resource, blocked)
				}
			}
			i := slices.IndexFunc(p.oauths, func(o *OAuth) bool { return o.Resource == part })
			w, passed := serve(t, p.oauths[i], http.MethodGet, metadataRoot)
			if tc.root == "" {
				if passed || w.Code != http.StatusUnauthorized {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			} else if passed || w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"`+tc.root+`"`) {
				t.Errorf("%d %s, want that of %s", w.Code, w.Body, tc.root)
			}
		})
	}
}
