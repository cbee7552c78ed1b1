package caddymodule

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// provisioned is a Caddyfile as far as Caddy takes it without starting anything.
type provisioned struct {
	ctx    caddy.Context
	http   *caddyhttp.App
	oauths []*OAuth
	stdios []*Stdio
}

func provision(t testing.TB, caddyfile string) provisioned {
	t.Helper()
	return provisionWith(t, "log {\noutput discard\n}", caddyfile)
}

// provisionWith is provision with global options.
func provisionWith(t testing.TB, options, caddyfile string) provisioned {
	t.Helper()
	adapted, err := adapt(t, "{\nadmin off\n"+options+"\n}\n"+caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	config := &caddy.Config{}
	if err := json.Unmarshal([]byte(adapted), config); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	own, err := ctx.App("mcp")
	if err != nil {
		t.Fatal(err)
	}
	p := provisioned{ctx: ctx, http: app.(*caddyhttp.App)}
	t.Cleanup(func() {
		for _, proxy := range proxiesOf(p.http) {
			_ = proxy.Cleanup()
		}
	})
	for _, h := range own.(*App).handlers {
		switch h := h.(type) {
		case *OAuth:
			p.oauths = append(p.oauths, h)
		case *Stdio:
			p.stdios = append(p.stdios, h)
		}
	}
	if len(p.oauths)+len(p.stdios) == 0 {
		t.Fatal("no handler was provisioned")
	}
	return p
}

// proxiesOf are the proxies that requests come to. Caddy keeps what it knows of their servers, by
// address and for the whole process, until they are cleaned up: another test may be given the port.
func proxiesOf(app *caddyhttp.App) (proxies []*reverseproxy.Handler) {
	for _, server := range app.Servers {
		walk(server, func(h caddyhttp.MiddlewareHandler, _ trail) {
			if proxy, ok := h.(*reverseproxy.Handler); ok && !slices.Contains(proxies, proxy) {
				proxies = append(proxies, proxy)
			}
		})
	}
	return proxies
}

// handlers are all of this package's.
func (p provisioned) handlers() []starter {
	var all []starter
	for _, o := range p.oauths {
		all = append(all, o)
	}
	for _, s := range p.stdios {
		all = append(all, s)
	}
	return all
}

const block = "{\n\tstdio snapshotd\n\toauth https://auth.example.com\n}\n"

func TestDefaultResourceIsTheOneHostAndPathThatLeadHere(t *testing.T) {
	for name, tc := range map[string]struct{ caddyfile, want string }{
		"a name":               {"mcp.example.com {\n mcp /mcp " + block + "}", "https://mcp.example.com/mcp"},
		"upper case":           {"MCP.Example.com {\n mcp /Mcp " + block + "}", "https://mcp.example.com/Mcp"},
		"another port":         {"localhost:8443 {\n mcp /mcp " + block + "}", "https://localhost:8443/mcp"},
		"no path":              {"mcp.example.com {\n mcp " + block + "}", "https://mcp.example.com"},
		"plain http, loopback": {"http://localhost:8080 {\n mcp /mcp " + block + "}", "http://localhost:8080/mcp"},
		"TLS ends in front":    {"http://mcp.example.com:8080 {\n mcp /mcp " + block + "}", "https://mcp.example.com/mcp"},
		"in a handle":          {"mcp.example.com {\n handle /mcp* {\n mcp /mcp " + block + "}\n}", "https://mcp.example.com/mcp"},
		"in a route":           {"mcp.example.com {\n route {\n mcp /mcp " + block + "}\n}", "https://mcp.example.com/mcp"},
		"in a named route":     {"&(tools) {\n mcp /mcp " + block + "}\nmcp.example.com {\n invoke tools\n}", "https://mcp.example.com/mcp"},
		"host of the route":    {"*.example.com {\n @m host mcp.example.com\n handle @m {\n mcp /mcp " + block + "}\n}", "https://mcp.example.com/mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			for h, path := range map[caddyhttp.MiddlewareHandler]string{p.oauths[0]: p.oauths[0].Path, p.stdios[0]: p.stdios[0].Path} {
				got, err := deriveResource(trailsTo(p.http, h), path)
				if err != nil || got != tc.want {
					t.Errorf("%T: resource = %q, %v; want %q", h, got, err, tc.want)
				}
			}
		})
	}
}

func TestDefaultResourceIsRefusedWhereItWouldBeAGuess(t *testing.T) {
	for name, tc := range map[string]struct{ caddyfile, want string }{
		"two names":         {"a.example.com, b.example.com {\n mcp /mcp " + block + "}", "several addresses lead"},
		"a wildcard":        {"*.example.com {\n mcp /mcp " + block + "}", "not one literal name"},
		"no name":           {":8443 {\n mcp /mcp " + block + "}", "no host leads"},
		"a stripped prefix": {"mcp.example.com {\n handle_path /api/* {\n mcp /mcp " + block + "}\n}", "rewritten"},
		"a rewrite before":  {"mcp.example.com {\n route {\n rewrite /x /mcp\n mcp /mcp " + block + "}\n}", "rewritten"},
		"a glob around it":  {"mcp.example.com {\n handle /mcp* {\n mcp " + block + "}\n}", "not one exact path"},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			got, err := deriveResource(trailsTo(p.http, p.oauths[0]), "")
			if err == nil {
				t.Fatalf("resource = %q", got)
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "resource https://") {
				t.Errorf("error = %v\nwant it to say %q and what to write", err, tc.want)
			}
		})
	}
}

func TestSelfCheckSeesWhatIsUnreachable(t *testing.T) {
	for name, tc := range map[string]struct {
		caddyfile string
		blocked   string // "" where the metadata is reachable
	}{
		"top level":                  {"mcp.example.com {\n mcp /mcp " + block + "}", ""},
		"catch-all respond":          {"mcp.example.com {\n respond hello\n mcp /mcp " + block + "}", ""},
		"catch-all in a handle":      {"mcp.example.com {\n mcp /mcp " + block + " handle {\n respond hello\n}\n}", ""},
		"in handle /mcp*":            {"mcp.example.com {\n handle /mcp* {\n mcp /mcp " + block + "}\n handle {\n respond hello\n}\n}", "static_response"},
		"in handle, nothing else":    {"mcp.example.com {\n handle /mcp* {\n mcp /mcp " + block + "}\n}", "no route matches"},
		"behind a catch-all":         {"mcp.example.com {\n route {\n respond hello\n mcp /mcp " + block + "}\n}", "static_response"},
		"in route, after a file":     {"mcp.example.com {\n route {\n file_server /files/*\n mcp /mcp " + block + "}\n}", ""},
		"second of two on one host":  {"mcp.example.com {\n mcp /other " + block + " mcp /mcp " + block + "}", ""},
		"handle with the well-known": {"mcp.example.com {\n @m path /mcp /.well-known/oauth-protected-resource/*\n handle @m {\n mcp /mcp " + block + "}\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, tc.caddyfile)
			target := p.oauths[len(p.oauths)-1]
			target.served = metadataPaths{inserted: "/.well-known/oauth-protected-resource/mcp"}
			ok, blocked := reaches(trailsTo(p.http, target), target, oauth.MetadataURL("https://mcp.example.com/mcp"))
			if ok != (tc.blocked == "") || !strings.Contains(blocked, tc.blocked) {
				t.Errorf("reachable %v, blocked by %q; want %q", ok, blocked, tc.blocked)
			}
		})
	}
}

// RFC 9728 section 3.1 cuts off no slash but one that follows the host.
func TestMetadataOfAPathThatEndsInASlashIsReached(t *testing.T) {
	for path, inserted := range map[string]string{
		"/mcp/": "/.well-known/oauth-protected-resource/mcp/",
		"/":     "/.well-known/oauth-protected-resource",
	} {
		p := provision(t, "mcp.example.com {\n mcp "+path+" "+block+"}")
		target := p.oauths[0]
		target.served = metadataPaths{inserted: inserted}
		if ok, blocked := reaches(trailsTo(p.http, target), target, oauth.MetadataURL("https://mcp.example.com"+path)); !ok {
			t.Errorf("%s: blocked by %q", path, blocked)
		}
	}
}

func TestRootMetadataIsServedWhereOneResourceStandsOnAHost(t *testing.T) {
	one := provision(t, "mcp.example.com {\n mcp /mcp "+block+"}\nother.example.com {\n mcp /mcp "+block+"}")
	for _, o := range one.oauths {
		if !aloneOnHost(trailsTo(one.http, o)) {
			t.Error("a resource alone on its host is taken for one of several")
		}
	}
	two := provision(t, "mcp.example.com {\n mcp /mcp "+block+" mcp /other "+block+"}")
	for _, o := range two.oauths {
		if aloneOnHost(trailsTo(two.http, o)) {
			t.Error("one of two resources on a host is taken for the only one")
		}
	}
}

func TestListenersOfAnonymousEndpoints(t *testing.T) {
	anonymous := " mcp /mcp {\n stdio snapshotd\n anonymous\n}\n"
	for caddyfile, want := range map[string]bool{
		"http://localhost:8080 {\n bind 127.0.0.1 ::1\n" + anonymous + "}": true,
		"http://localhost:8080 {\n" + anonymous + "}":                      false, // a name is no bind
		"http://:8080 {\n bind 0.0.0.0\n" + anonymous + "}":                false,
		"http://:8080 {\n bind unix//run/mcp.sock\n" + anonymous + "}":     true,
	} {
		p := provision(t, caddyfile)
		for _, trail := range trailsTo(p.http, p.stdios[0]) {
			if got := trail.loopback(); got != want {
				t.Errorf("%s: loopback = %v", caddyfile, got)
			}
		}
	}
}
