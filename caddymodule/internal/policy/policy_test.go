package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func newPolicy(t testing.TB, base []string, rules ...Rule) *Policy {
	t.Helper()
	p, err := New(Config{Base: base, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tool(pattern string, scopes ...string) Rule {
	return Rule{Kind: KindTool, Pattern: pattern, Scopes: scopes}
}
func method(pattern string, scopes ...string) Rule {
	return Rule{Kind: KindMethod, Pattern: pattern, Scopes: scopes}
}
func deny(kind, pattern string) Rule { return Rule{Kind: kind, Pattern: pattern, Deny: true} }

func call(name string) Request { return Request{Method: "tools/call", Kind: KindTool, Name: name} }

var snapshotRules = []Rule{
	tool("save_snapshot", "snapshot:write"),
	tool("delete_*", "snapshot:delete", "snapshot:write"),
	deny(KindTool, "drop_*"),
	tool("drop_cache", "admin"),
	tool("*", "snapshot:read"),
	deny(KindTool, "never_reached"),
	method("resources/*", "resources"),
	deny(KindMethod, "logging/setLevel"),
}

func TestDecide(t *testing.T) {
	p := newPolicy(t, []string{"mcp"}, snapshotRules...)
	tests := []struct {
		name    string
		req     Request
		granted string
		allowed bool
		denied  bool
		missing string
		needed  string
		rule    string
	}{
		{"exact rule", call("save_snapshot"), "mcp snapshot:write", true, false, "", "mcp snapshot:write", "tool save_snapshot"},
		{"exact rule, scope missing", call("save_snapshot"), "mcp snapshot:read", false, false, "snapshot:write", "mcp snapshot:write", "tool save_snapshot"},
		{"glob, several scopes, one challenge", call("delete_all"), "mcp", false, false, "snapshot:delete snapshot:write", "mcp snapshot:delete snapshot:write", "tool delete_*"},
		{"glob, some granted", call("delete_"), "mcp snapshot:write", false, false, "snapshot:delete", "mcp snapshot:delete snapshot:write", "tool delete_*"},
		{"base missing is said first, all is asked for", call("save_snapshot"), "", false, false, "mcp snapshot:write", "mcp snapshot:write", "base"},
		{"denied by glob", call("drop_tables"), "mcp admin snapshot:read", false, true, "", "", "deny tool drop_*"},
		{"exact allow beats the deny glob before it", call("drop_cache"), "mcp admin", true, false, "", "mcp admin", "tool drop_cache"},
		{"exact deny beats the glob before it", call("never_reached"), "mcp snapshot:read", false, true, "", "", "deny tool never_reached"},
		{"the last glob", call("a/b c"), "mcp snapshot:read", true, false, "", "mcp snapshot:read", "tool *"},
		{"no name", call(""), "mcp", false, false, "snapshot:read", "mcp snapshot:read", "tool *"},
		{"scopes compare by case", call("save_snapshot"), "mcp Snapshot:Write", false, false, "snapshot:write", "mcp snapshot:write", "tool save_snapshot"},
		{"a scope is no prefix", call("save_snapshot"), "mcp snapshot:write:all snapshot", false, false, "snapshot:write", "mcp snapshot:write", "tool save_snapshot"},

		{"method rule", Request{Method: "resources/read"}, "mcp", false, false, "resources", "mcp resources", "method resources/*"},
		{"method rule, nested", Request{Method: "resources/templates/list"}, "mcp resources", true, false, "", "mcp resources", "method resources/*"},
		{"method without rule", Request{Method: "tools/list"}, "mcp", true, false, "", "mcp", "base"},
		{"method without rule, base missing", Request{Method: "tools/list"}, "", false, false, "mcp", "mcp", "base"},
		{"method denied", Request{Method: "logging/setLevel"}, "mcp", false, true, "", "", "deny method logging/setLevel"},
		{"a tool's name on another method", Request{Method: "tools/list", Name: "drop_tables"}, "mcp", true, false, "", "mcp", "base"},

		{"initialize", Request{Method: "initialize"}, "mcp", true, false, "", "mcp", "base"},
		{"server/discover", Request{Method: "server/discover"}, "mcp", true, false, "", "mcp", "base"},
		{"ping without base", Request{Method: "ping"}, "", false, false, "mcp", "mcp", "base"},
		{"notification", Request{Method: "notifications/cancelled"}, "mcp", true, false, "", "mcp", "base"},
		{"response", Request{}, "mcp", true, false, "", "mcp", "base"},

		{"look-alike by case", call("Save_Snapshot"), "mcp snapshot:read snapshot:write", false, true, "", "", "look-alike tool save_snapshot"},
		{"look-alike by long s", call("ſave_ſnapshot"), "mcp snapshot:read", false, true, "", "", "look-alike tool save_snapshot"},
		{"look-alike by full width", call("ｓave_snapshot"), "mcp snapshot:read", false, true, "", "", "look-alike tool save_snapshot"},
		{"look-alike of a glob", call("DELETE_all"), "mcp snapshot:read", false, true, "", "", "look-alike tool delete_*"},
		{"look-alike of a deny glob", call("Drop_tables"), "mcp snapshot:read", false, true, "", "", "look-alike tool drop_*"},
		{"look-alike of a denied name", call("NEVER_reached"), "mcp snapshot:read", false, true, "", "", "look-alike tool never_reached"},
		{"other letters are another name", call("save-snapshot"), "mcp snapshot:read", true, false, "", "mcp snapshot:read", "tool *"},
		{"look-alike of tools/call", Request{Method: "Tools/Call", Kind: KindTool, Name: "save_snapshot"}, "mcp", false, true, "", "", "look-alike method tools/call"},
		{"look-alike of a ruled method", Request{Method: "Resources/vendor"}, "mcp", false, true, "", "", "look-alike method resources/*"},
		{"look-alike of a list", Request{Method: "tools/Li\u017ft"}, "mcp", false, true, "", "", "look-alike method tools/list"},
		{"look-alike of resources/read", Request{Method: "Resources/read"}, "mcp", false, true, "", "", "look-alike method resources/read"},
		{"look-alike of a method with base only", Request{Method: "INITIALIZE"}, "mcp", false, true, "", "", "look-alike method initialize"},
		{"look-alike by long s in a method", Request{Method: "logging/ſetLevel"}, "mcp", false, true, "", "", "look-alike method logging/setLevel"},
		{"endless name", call(strings.Repeat("a", 5000)), "mcp snapshot:read", false, true, "", "", "tool name longer than 4 KiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := p.Decide(test.req, strings.Fields(test.granted))
			got := fmt.Sprint(d.Allowed, d.Denied, d.Missing, d.Needed, d.Rule)
			want := fmt.Sprint(test.allowed, test.denied, strings.Fields(test.missing), strings.Fields(test.needed), test.rule)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if test.req.Method == "tools/call" && p.Visible(KindTool, test.req.Name, strings.Fields(test.granted)) != test.allowed {
				t.Error("the tool is in the list although it cannot be called, or the reverse")
			}
		})
	}
}

// A rule on the method tools/call and one on the tool both count.
func TestToolCallIsUnderBothKindsOfRules(t *testing.T) {
	p := newPolicy(t, nil, method("tools/call", "call"), tool("save", "write"))
	d := p.Decide(call("save"), []string{"call"})
	if d.Allowed || d.Rule != "tool save" || !slices.Equal(d.Needed, []string{"call", "write"}) || !slices.Equal(d.Missing, []string{"write"}) {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(call("save"), []string{"write"}); d.Allowed || d.Rule != "method tools/call" {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(call("other"), []string{"call"}); !d.Allowed || d.Rule != "method tools/call" {
		t.Errorf("%+v", d)
	}
	p = newPolicy(t, nil, deny(KindMethod, "tools/*"))
	if d := p.Decide(call("save"), nil); !d.Denied || d.Rule != "deny method tools/*" {
		t.Errorf("%+v", d)
	}
}

// Decisions share the base scopes; what one adds must not show in another.
func TestDecisionsDoNotShareWhatTheyAdd(t *testing.T) {
	p := newPolicy(t, []string{"a", "b", "c"}, tool("one", "1"), tool("two", "2"))
	one := p.Decide(call("one"), nil)
	p.Decide(call("two"), nil)
	if want := []string{"a", "b", "c", "1"}; !slices.Equal(one.Needed, want) {
		t.Errorf("needed %q, want %q", one.Needed, want)
	}
}

func TestPolicyWithoutRulesAllowsAll(t *testing.T) {
	p := newPolicy(t, nil)
	for _, req := range []Request{{}, {Method: "ping"}, {Method: "tools/list"}, call("Anything"), {Method: "vendor/Method"}} {
		if d := p.Decide(req, nil); !d.Allowed || d.Rule != "base" || len(d.Needed) != 0 {
			t.Errorf("%+v: %+v", req, d)
		}
	}
	if scopes := p.ScopesSupported(); len(scopes) != 0 {
		t.Errorf("scopes are %q", scopes)
	}
	for _, kind := range Kinds() {
		if p.Filters(kind) {
			t.Errorf("lists of %ss are filtered", kind)
		}
	}
}

// An operator who rules two names that differ by case means two names.
func TestNamesThatAreBothRuledAreBothKnown(t *testing.T) {
	p := newPolicy(t, nil, tool("get", "a"), tool("Get", "b"), tool("Read*", "c"), tool("read*", "d"))
	for name, rule := range map[string]string{
		"get": "tool get", "Get": "tool Get", "GET": "look-alike tool get",
		"Readme": "tool Read*", "readme": "tool read*", "READme": "look-alike tool Read*",
	} {
		if d := p.Decide(call(name), nil); d.Rule != rule {
			t.Errorf("%s is under %q, want %q", name, d.Rule, rule)
		}
	}
}

func TestScopesSupportedIsTheLeast(t *testing.T) {
	p := newPolicy(t, []string{"mcp", "mcp", "openid"}, snapshotRules...)
	if got, want := p.ScopesSupported(), []string{"mcp", "openid"}; !slices.Equal(got, want) {
		t.Errorf("with base: %q, want %q", got, want)
	}
	p = newPolicy(t, nil, snapshotRules...)
	if got, want := p.ScopesSupported(), []string{"snapshot:write", "snapshot:delete", "admin", "snapshot:read", "resources"}; !slices.Equal(got, want) {
		t.Errorf("without base: %q, want %q", got, want)
	}
}

func TestWrongRulesAreNamed(t *testing.T) {
	tests := map[string]struct {
		base  []string
		rules []Rule
		want  string
	}{
		"unknown kind":                  {nil, []Rule{{Kind: "root", Pattern: "x", Scopes: []string{"a"}}}, `unknown kind of rule "root"; there are: tool, prompt, resource, method`},
		"no name":                       {nil, []Rule{tool("", "a")}, "empty name"},
		"control character":             {nil, []Rule{tool("a\nb", "a")}, "control characters"},
		"bad UTF-8":                     {nil, []Rule{tool("a\xff", "a")}, "UTF-8"},
		"no scope":                      {nil, []Rule{tool("x")}, "names no scope"},
		"empty scope":                   {nil, []Rule{tool("x", "")}, "must not be empty"},
		"scope with a space":            {nil, []Rule{tool("x", "a b")}, "RFC 6749"},
		"scope with a quote":            {nil, []Rule{tool("x", `a"`)}, "RFC 6749"},
		"scope beyond ASCII":            {nil, []Rule{tool("x", "ä")}, "RFC 6749"},
		"base scope with a line feed":   {[]string{"a\n"}, nil, "base"},
		"deny with scopes":              {nil, []Rule{{Kind: KindTool, Pattern: "x", Scopes: []string{"a"}, Deny: true}}, "must name no scopes"},
		"allow and deny":                {nil, []Rule{tool("x", "a"), deny(KindTool, "x")}, "contradicts"},
		"other scopes":                  {nil, []Rule{tool("x*", "a"), tool("x*", "b")}, "contradicts"},
		"rule on initialize":            {nil, []Rule{method("initialize", "a")}, "no effect"},
		"rule on notifications":         {nil, []Rule{deny(KindMethod, "notifications/*")}, "no effect"},
		"method in another case":        {nil, []Rule{method("Tools/Call", "a")}, "write tools/call"},
		"resource with dots":            {nil, []Rule{{Kind: KindResource, Pattern: "file:///a/../b", Scopes: []string{"a"}}}, "write file:///b"},
		"completion in another case":    {nil, []Rule{method("completion/Complete", "a")}, "write completion/complete"},
		"base method in another case":   {nil, []Rule{method("Ping", "a")}, "write ping"},
		"all of it in one error prefix": {nil, []Rule{tool("", "a")}, "scopes: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Config{Base: test.base, Rules: test.rules}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
	newPolicy(t, nil, tool("x", "a", "b"), tool("x", "b", "a"), method("x", "c")) // no contradictions
}

func TestGlob(t *testing.T) {
	for pattern, names := range map[string]struct{ match, not []string }{
		"*":       {[]string{"", "a", "a/b"}, nil},
		"**":      {[]string{"", "a"}, nil},
		"a*":      {[]string{"a", "ab", "a/b/c", "a*"}, []string{"", "ba"}},
		"*a":      {[]string{"a", "ba", "aa"}, []string{"ab"}},
		"a*a":     {[]string{"aa", "aba"}, []string{"a"}},
		"a*b*c":   {[]string{"abc", "axbybzc"}, []string{"acb", "ab"}},
		"ab*ba":   {[]string{"abba"}, []string{"aba"}},
		"*ab*ab*": {[]string{"abab", "xabyabz"}, []string{"ab", "aab"}},
		"a?c":     {[]string{"a?c"}, []string{"abc"}},
		"[a]":     {[]string{"[a]"}, []string{"a"}},
		`\*`:      {[]string{`\`, `\x`}, []string{"*"}},
		"a":       {[]string{"a"}, []string{"", "aa", "A"}},
	} {
		g := newGlob(pattern)
		for _, name := range names.match {
			if !g.match(name) {
				t.Errorf("%q does not match %q", pattern, name)
			}
		}
		for _, name := range names.not {
			if g.match(name) {
				t.Errorf("%q matches %q", pattern, name)
			}
		}
	}
}

// Folding must reach an end and lead all spellings to one.
func FuzzFold(f *testing.F) {
	f.Add("Save_Snapshot", "ſave_ſnapshot")
	f.Add("K", "\u212A")
	f.Add("ß", "SS")
	f.Add("\u0345\u0300", "\uFDFA")
	f.Fuzz(func(t *testing.T, a, b string) {
		folded := fold(a)
		if fold(folded) != folded {
			t.Fatalf("%q folds to %q and that to %q", a, folded, fold(folded))
		}
		p, err := New(Config{Rules: []Rule{deny(KindTool, a), tool("*", "s")}})
		if err != nil || strings.Contains(a, "*") {
			return
		}
		if d := p.Decide(call(b), []string{"s"}); d.Allowed && (a == b || fold(a) == fold(b)) {
			t.Fatalf("%q is denied and %q is not", a, b)
		}
	})
}

// Lists are long, and most entries need nothing out of the ordinary.
func TestVisibleAllocatesNothing(t *testing.T) {
	p := newPolicy(t, []string{"mcp"}, append([]Rule{resource("file:///srv/*", "a")}, snapshotRules...)...)
	granted := []string{"mcp", "snapshot:read", "resources", "a"}
	if n := testing.AllocsPerRun(100, func() {
		if !p.Visible(KindTool, "list_snapshots", granted) || p.Visible(KindTool, "save_snapshot", granted) || !p.Visible(KindResource, "file:///srv/a.txt", granted) {
			t.Fatal("wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	p := newPolicy(b, []string{"mcp"}, snapshotRules...)
	granted := []string{"mcp", "snapshot:read", "snapshot:write"}
	for _, name := range []string{"save_snapshot", "list_snapshots", "listSnapshots"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(call(name), granted); !d.Allowed {
					b.Fatal(d)
				}
			}
		})
	}
}
