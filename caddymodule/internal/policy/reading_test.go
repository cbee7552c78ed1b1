package policy

import (
	"slices"
	"strings"
	"testing"
)

func resource(pattern string, scopes ...string) Rule {
	return Rule{Kind: KindResource, Pattern: pattern, Scopes: scopes}
}

func read(uris ...string) Request {
	return Request{Method: "resources/read", Kind: KindResource, Name: uris[0], More: uris[1:]}
}

// spellings are URIs, and the scopes that they need by the rules of the test below.
var spellings = map[string]string{
	"file:///srv/secret/a":                             "secret",
	"file:///srv/public/a":                             "public",
	"file:///srv/other/a":                              "",
	"file:///srv/public/../secret/a":                   "public secret",
	"file:///srv/public/./../secret/a":                 "public secret",
	"file:///srv/public/%2e%2e/secret/a":               "public secret",
	"file:///srv/public/%2E./secret/a":                 "public secret",
	"file:///srv/public/..%2fsecret%2fa":               "public secret",
	"file:///srv/public/%252e%252e/secret/a":           "public secret",
	"file:///srv/public/%25252e%25252e%25252fsecret/a": "public secret",
	"file:///srv/public/..%5csecret%5ca":               "public secret",
	`file:///srv/public/..\secret\a`:                   "public secret",
	"file:///srv/public/\uff0e\uff0e/secret/a":         "public secret",
	"file:///srv/public/\u2025/secret/a":               "public secret",
	"file:///srv/public/%EF%BC%8E./secret/a":           "public secret",
	"file:///srv/x/../secret/a":                        "secret",
	"file:///srv/s%65cret/a":                           "secret",
	"file:///srv//secret/a":                            "secret",
	"file:///srv/secret//a":                            "secret",
	"file:////srv/secret/a":                            "secret",
	"file:///srv/secret%2fa":                           "secret",
	"file:/srv/secret/a":                               "secret",
	"file://localhost/srv/secret/a":                    "secret",
	"file://elsewhere/srv/secret/a":                    "secret",
	"file:///srv/se\tcret/a":                           "secret",
	" file:///srv/secret/a":                            "secret",
	"file:///srv/x?/../../srv/secret/a":                "secret",
	"file:///srv/x#/../../srv/secret/a":                "secret",
	"file:///srv/list?x":                               "secret",
	"file:///srv/list#x":                               "secret",
	"file:///srv/list/":                                "secret",
	"file:///srv/list%3fx":                             "secret",
	"file:///srv/list\x00.txt":                         "secret",
	"file:///srv/list%00.txt":                          "secret",
	"file:///srv/my%20plans/a":                         "secret",
	"file:///srv/my plans/a":                           "secret",
	"file:///srv/m%79%20plans/a":                       "secret",
	"file:///srv/keys/a":                               "DENIED",
	"file:///srv/public/../keys/a":                     "DENIED",
	"file:///srv/keys/../public/a":                     "DENIED",
	"file:///srv/%6beys/a":                             "DENIED",
	"FILE:///srv/public/a":                             "DENIED",
	"file:///SRV/secret/a":                             "DENIED",
	"file:///srv/ſecret/a":                             "DENIED",
	"file:///srv/x/../SECRET/a":                        "DENIED",
	"file:///srv/%53ECRET/a":                           "DENIED",
	"db://tables/users":                                "users",
	"db://tables/users?limit=1":                        "users",
	"db://tables/x/../users":                           "users",
	"db://tables/users2":                               "",
	"":                                                 "",
}

// Whatever a server opens for a URI, the caller must have the scopes of that. The rules say
// that secret is for those with the scope, and that keys are for nobody.
func TestNoSpellingOfAURILeadsAroundARule(t *testing.T) {
	p := newPolicy(t, nil,
		resource("file:///srv/secret/*", "secret"), resource("file:///srv/my%20plans/*", "secret"), resource("file:///srv/list", "secret"),
		deny(KindResource, "file:///srv/keys/*"),
		resource("file:///srv/public/*", "public"), resource("db://tables/users", "users"))
	for uri, want := range spellings {
		d := p.Decide(read(uri), nil)
		got := strings.Join(d.Needed, " ")
		if d.Denied {
			got = "DENIED"
		}
		if got != want {
			t.Errorf("%q needs %q, want %q (%s)", uri, got, want, d.Rule)
		}
		if visible := p.Visible(KindResource, uri, nil); visible != (want == "") {
			t.Errorf("%q is visible: %v", uri, visible)
		}
	}
}

func TestAURIHasABoundedNumberOfReadings(t *testing.T) {
	p := newPolicy(t, nil, resource("x*", "s"))
	for name, req := range map[string]Request{
		"one URI":   read("a://b/%" + strings.Repeat("25", 40) + "2e%2e//c/?d#e"),
		"many URIs": read(slices.Repeat([]string{"a://b/%2e%2e/c%2fd//e?f#g"}, 1024)...),
	} {
		if d := p.Decide(req, nil); !d.Denied || d.Rule != "resource with too many readings" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if d := p.Decide(read(slices.Repeat([]string{"a://b/c"}, 1024)...), nil); !d.Allowed {
		t.Errorf("many plain URIs: %+v", d)
	}
	if d := p.Decide(read("a://"+strings.Repeat("a", 5000)), nil); !d.Denied || d.Rule != "resource name longer than 4 KiB" {
		t.Errorf("an endless URI: %+v", d)
	}
	if d := newPolicy(t, nil).Decide(read("a://"+strings.Repeat("%2e/", 5000)), nil); !d.Allowed {
		t.Errorf("without rules on resources: %+v", d)
	}
}

// One listen names several resources, and is challenged once for all of them.
func TestSeveralResourcesAreOneRequest(t *testing.T) {
	p := newPolicy(t, []string{"mcp"}, resource("a:*", "a"), resource("b:*", "b"), deny(KindResource, "c:*"))
	listen := func(uris ...string) Request {
		req := read(uris...)
		req.Method = "subscriptions/listen"
		return req
	}
	d := p.Decide(listen("b:1", "x:1", "a:1", "b:2"), []string{"mcp"})
	if d.Allowed || !slices.Equal(d.Needed, []string{"mcp", "b", "a"}) || !slices.Equal(d.Missing, []string{"b", "a"}) || d.Rule != "resource b:*" {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(listen("a:1", "c:1"), []string{"mcp", "a"}); !d.Denied || d.Rule != "deny resource c:*" {
		t.Errorf("one of them is denied: %+v", d)
	}
	if d := p.Decide(Request{Method: "subscriptions/listen"}, []string{"mcp"}); !d.Allowed {
		t.Errorf("none of them: %+v", d)
	}
}

func TestPromptRules(t *testing.T) {
	p := newPolicy(t, nil, Rule{Kind: KindPrompt, Pattern: "review_*", Scopes: []string{"review"}}, deny(KindPrompt, "debug"), tool("review_x", "other"))
	prompt := func(method, name string) Request { return Request{Method: method, Kind: KindPrompt, Name: name} }
	for _, method := range []string{"prompts/get", "completion/complete"} {
		if d := p.Decide(prompt(method, "review_x"), nil); d.Allowed || !slices.Equal(d.Needed, []string{"review"}) {
			t.Errorf("%s: %+v", method, d)
		}
		if d := p.Decide(prompt(method, "Review_x"), []string{"review"}); !d.Denied || d.Rule != "look-alike prompt review_*" {
			t.Errorf("%s, look-alike: %+v", method, d)
		}
		if d := p.Decide(prompt(method, "debug"), []string{"review"}); !d.Denied {
			t.Errorf("%s, denied: %+v", method, d)
		}
		if d := p.Decide(prompt(method, "other"), nil); !d.Allowed {
			t.Errorf("%s, without rule: %+v", method, d)
		}
	}
	if !p.Visible(KindPrompt, "other", nil) || p.Visible(KindPrompt, "debug", nil) || p.Visible(KindPrompt, "review_x", nil) {
		t.Error("the list is not what may be got")
	}
}

// A list is empty to those who may not use what is in it.
func TestRulesOnMethodsFilterLists(t *testing.T) {
	p := newPolicy(t, nil, method("resources/read", "read"), deny(KindMethod, "prompts/get"))
	if p.Visible(KindResource, "a:b", nil) || !p.Visible(KindResource, "a:b", []string{"read"}) || p.Visible(KindPrompt, "x", nil) || !p.Visible(KindTool, "x", nil) {
		t.Error("the lists are not what may be used")
	}
	for kind, filtered := range map[string]bool{KindTool: true, KindPrompt: true, KindResource: true} {
		if p.Filters(kind) != filtered {
			t.Errorf("lists of %ss", kind)
		}
	}
	q := newPolicy(t, []string{"base"}, tool("x", "a"))
	if !q.Filters(KindTool) || q.Filters(KindPrompt) || q.Filters(KindResource) {
		t.Error("lists are filtered for nothing")
	}
}

// Each step is what a reader does, so it must be done once it is done, and no chain of them
// may escape what readings looks at.
func FuzzReadings(f *testing.F) {
	f.Add("file:///srv/public/%2e%2e/secret?x#y", uint8(1), uint8(7), uint8(3))
	f.Add(`file:\\host\a/..//b%5C%00`, uint8(0), uint8(5), uint8(10))
	f.Add("a:b/../..%252f", uint8(0), uint8(0), uint8(6))
	f.Fuzz(func(t *testing.T, uri string, first, second, third uint8) {
		if len(uri) > 256 {
			return
		}
		all, ok := readings(uri)
		if !ok {
			return
		}
		if plainURI(uri) && len(all) != 1 {
			t.Fatalf("%q is plain and is read as %q", uri, all)
		}
		at := uri
		for _, i := range []uint8{first, second, third} {
			at = steps[int(i)%len(steps)](at)
			if !slices.Contains(all, at) {
				t.Fatalf("%q can be read as %q, which is not in %q", uri, at, all)
			}
		}
	})
}

// What matches must be the same as by the plain definition of a glob.
func FuzzGlob(f *testing.F) {
	f.Add("a*b*c", "aXbYc")
	f.Add("*ab*ab*", "xabyabz")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 20 || len(name) > 60 {
			return
		}
		if got, want := newGlob(pattern).match(name), matches(pattern, name); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// matches tries every way, by a table: of all beginnings of the name those that the
// pattern so far matches.
func matches(pattern, name string) bool {
	reached := make([]bool, len(name)+1)
	reached[0] = true
	for i := range len(pattern) {
		next := make([]bool, len(name)+1)
		for j := range reached {
			switch {
			case pattern[i] == '*':
				next[j] = reached[j] || j > 0 && next[j-1]
			case j > 0:
				next[j] = reached[j-1] && name[j-1] == pattern[i]
			}
		}
		reached = next
	}
	return reached[len(name)]
}
