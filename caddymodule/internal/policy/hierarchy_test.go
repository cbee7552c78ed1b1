package policy

import (
	"slices"
	"strings"
	"testing"
)

func implied(lines ...string) []Implication {
	var all []Implication
	for _, line := range lines {
		words := strings.Fields(line)
		all = append(all, Implication{words[0], words[1:]})
	}
	return all
}

func TestScopesImplyOthersAtAnyDistance(t *testing.T) {
	p, err := New(Config{
		Rules: []Rule{tool("save", "write"), tool("load", "read")},
		Imply: implied("admin write audit", "write read", "admin billing", "left right", "right left"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for granted, want := range map[string]string{
		"admin":        "admin write audit billing read",
		"write":        "write read",
		"read":         "read",
		"other":        "other",
		"read write":   "read write",
		"write admin":  "write admin read audit billing",
		"left":         "left right",
		"right x left": "right x left",
		"":             "",
	} {
		scopes := strings.Fields(granted)
		before := slices.Clone(scopes)
		if got := strings.Join(p.Expand(scopes), " "); got != want {
			t.Errorf("%q grants %q, want %q", granted, got, want)
		}
		if !slices.Equal(scopes, before) {
			t.Errorf("%q was changed to %q", before, scopes)
		}
	}
	for name, granted := range map[string]string{"save": "admin", "load": "admin"} {
		if d := p.Decide(call(name), p.Expand([]string{granted})); !d.Allowed {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if d := p.Decide(call("save"), p.Expand([]string{"read"})); d.Allowed || !slices.Equal(d.Missing, []string{"write"}) {
		t.Errorf("a scope implies the one that implies it: %+v", d)
	}
}

// A token that has one scope of a list has shared memory with those of other requests.
func TestExpandedScopesAreTheirOwn(t *testing.T) {
	p, err := New(Config{Imply: implied("a b")})
	if err != nil {
		t.Fatal(err)
	}
	scopes := append(make([]string, 0, 8), "a")
	p.Expand(scopes)
	if got := scopes[:2][1]; got != "" {
		t.Errorf("%q was written behind the token's scopes", got)
	}
}

func TestWrongImplicationsAreNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		imply Implication
		want  string
	}{
		"nothing implied": {Implication{Scope: "a"}, "names no scope"},
		"itself":          {Implication{"a", []string{"b", "a"}}, "imply itself"},
		"bad scope":       {Implication{"a b", []string{"c"}}, "RFC 6749"},
		"bad implied":     {Implication{"a", []string{`"`}}, "RFC 6749"},
	} {
		if _, err := New(Config{Imply: []Implication{tc.imply}}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// stepUp is a client that is refused a call and comes back with another token.
type stepUp func(held, asked []string) []string

// replaces asks for what the challenge says and nothing else; adds keeps what it had.
func replaces(_, asked []string) []string { return asked }
func adds(held, asked []string) []string  { return appendMissing(slices.Clip(held), asked) }

// A client that works with several tools must come to a token that is good for all of them,
// each challenge costing its user one look at a page, whatever it does with a challenge.
func TestStepUpComesToAnEnd(t *testing.T) {
	p, err := New(Config{
		Base:  []string{"mcp"},
		Rules: append([]Rule{method("resources/*", "resources")}, tool("save", "write"), tool("load", "read"), tool("drop", "admin", "write"), tool("pay", "money", "write")),
		Imply: implied("admin write read"),
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := []Request{{Method: "tools/list"}, call("load"), call("save"), call("drop"), call("load"), call("pay"), {Method: "resources/list"}, call("save"), call("drop"), call("pay")}
	for name, next := range map[string]stepUp{"replaces": replaces, "adds": adds} {
		held, challenges := []string{"openid"}, 0
		for range 2 {
			for _, req := range calls {
				d := p.Decide(req, p.Expand(held))
				if d.Allowed {
					continue
				}
				challenges++
				held = next(held, p.Ask(d, p.Expand(held)))
				if d := p.Decide(req, p.Expand(held)); !d.Allowed {
					t.Errorf("a client that %s scopes has %q after the challenge, and is still refused %+v", name, held, req)
				}
			}
		}
		// mcp, read, write, admin, money, resources
		if challenges != 6 {
			t.Errorf("a client that %s scopes was challenged %d times", name, challenges)
		}
	}
}

func TestAChallengeAsksForTheLeast(t *testing.T) {
	p, err := New(Config{
		Base:  []string{"mcp"},
		Rules: []Rule{tool("load", "read"), tool("save", "read", "write"), tool("twins", "left", "right")},
		Imply: implied("write read", "admin write", "left right", "right left"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, tool, held, want string }{
		{"the scope itself, not one above it", "load", "", "mcp read"},
		{"what the other implies is left out", "save", "", "mcp write"},
		{"what is held and known stays", "load", "write", "mcp write"},
		{"what is held and of no use here is not asked for", "load", "mcp openid profile", "mcp read"},
		{"what is implied by what is held", "save", "admin", "mcp admin"},
		{"of two that imply one another one", "twins", "", "mcp left"},
	} {
		held := p.Expand(strings.Fields(tc.held))
		if got := strings.Join(p.Ask(p.Decide(call(tc.tool), held), held), " "); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestEverythingIsAdvertisedToThoseWhoCannotStepUp(t *testing.T) {
	cfg := Config{Base: []string{"mcp"}, Rules: snapshotRules, Imply: implied("root admin")}
	for all, want := range map[bool]string{false: "mcp", true: "mcp snapshot:write snapshot:delete admin snapshot:read resources"} {
		cfg.AskAll = all
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.ScopesSupported(), " "); got != want {
			t.Errorf("ask all %v: %q, want %q", all, got, want)
		}
	}
}
