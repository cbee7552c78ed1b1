package policy

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/identity"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func meta(changes map[string]any) map[string]any {
	stamp := map[string]any{
		"issuer": "https://as.example", "subject": "alice",
		"user":   identity.UserKey("https://as.example", "alice"),
		"scopes": []any{ScopeRead}, "expires": float64(noon.Unix()),
	}
	for name, value := range changes {
		stamp[name] = value
	}
	return map[string]any{identity.MetaKey: stamp}
}

func TestScopesOfTools(t *testing.T) {
	for tool, want := range map[string]string{
		"save_snapshot": "snapshot:write", "load_snapshot": "snapshot:read",
		"list_snapshots": "snapshot:read", "delete_snapshot": "snapshot:delete",
		"find_snapshots": "snapshot:read", "search_snapshots": "snapshot:read", "snapshot_usage": "snapshot:read",
		"export_snapshots": "snapshot:export", "list_users": "snapshot:admin", "admin_find_snapshots": "snapshot:admin",
		"admin_load_snapshot": "snapshot:admin", "admin_export_snapshots": "snapshot:admin", "admin_delete_snapshot": "snapshot:admin",
		"no_such_tool": "snapshot:read", "": "snapshot:read", "Delete_Snapshot": "snapshot:read",
	} {
		if got := RequiredScope(tool); got != want {
			t.Errorf("%q needs %s, want %s", tool, got, want)
		}
	}
}

func TestEachScopeStandsForItselfAndItsOwnForm(t *testing.T) {
	all := []string{ScopeRead, ScopeWrite, ScopeDelete, ScopeExport, ScopeAdmin}
	for _, granted := range all {
		for _, needed := range all {
			if got := Grants([]string{"other", granted}, needed); got != (granted == needed) {
				t.Errorf("%s for %s: %v", granted, needed, got)
			}
			if got := Grants([]string{granted + ":own"}, needed); got != (granted == needed && needed != ScopeAdmin) {
				t.Errorf("%s:own for %s: %v", granted, needed, got)
			}
		}
	}
	for _, granted := range []string{"snapshot", "snapshot:", "snapshot:*", "Snapshot:Read", "snapshot:read:all", "snapshot:read:own:own", ""} {
		if Grants([]string{granted}, ScopeRead) {
			t.Errorf("%q lets read", granted)
		}
	}
}

func TestNoAuthLetsAllIn(t *testing.T) {
	d := NoAuth{}.Authorize(context.Background(), Request{Tool: "delete_snapshot", Meta: meta(nil)})
	if !d.Authorized || d.UserID != "" || d.Identity != nil {
		t.Errorf("got %+v", d)
	}
}

func TestDummyTakesTheTestTokenOnly(t *testing.T) {
	header := func(v string) Request { return Request{Headers: http.Header{"Authorization": {v}}} }
	inMeta := func(v any) Request { return Request{Meta: map[string]any{"authorization": v}} }
	tests := []struct {
		name    string
		request Request
		err     string
	}{
		{"header", header("Bearer valid-token"), ""},
		{"scheme in other case", header("bearer valid-token"), ""},
		{"meta", inMeta("Bearer valid-token"), ""},
		{"none", Request{}, MissingToken},
		{"no scheme", header("valid-token"), MissingToken},
		{"other scheme", header("Basic valid-token"), MissingToken},
		{"not a string", inMeta(3), MissingToken},
		{"wrong", header("Bearer valid-token2"), InvalidToken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := Dummy{}.Authorize(context.Background(), test.request)
			if d.Error != test.err || d.Authorized != (test.err == "") {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestTrustedMetaDecides(t *testing.T) {
	tests := []struct {
		name, tool string
		meta       map[string]any
		after      time.Duration // of the token's expiry
		err        string
	}{
		{"scope granted", "load_snapshot", meta(nil), 0, ""},
		{"within the grace", "load_snapshot", meta(nil), ExpiryGrace - time.Second, ""},
		{"after the grace", "load_snapshot", meta(nil), ExpiryGrace, TokenExpired},
		{"no expiry", "load_snapshot", meta(map[string]any{"expires": float64(0)}), time.Hour, ""},
		{"scope missing", "save_snapshot", meta(nil), 0, InsufficientScope},
		{"scope in other case", "load_snapshot", meta(map[string]any{"scopes": []any{"Snapshot:Read"}}), 0, InsufficientScope},
		{"no scopes", "load_snapshot", meta(map[string]any{"scopes": nil}), 0, InsufficientScope},
		{"own form", "load_snapshot", meta(map[string]any{"scopes": []any{"snapshot:read:own"}}), 0, ""},
		{"own form of another", "export_snapshots", meta(map[string]any{"scopes": []any{"snapshot:read:own"}}), 0, InsufficientScope},
		{"administrator reads their own", "load_snapshot", meta(map[string]any{"scopes": []any{ScopeAdmin}}), 0, InsufficientScope},
		{"administrator", "admin_load_snapshot", meta(map[string]any{"scopes": []any{ScopeAdmin}}), 0, ""},
		{"own form of the administrator", "admin_load_snapshot", meta(map[string]any{"scopes": []any{ScopeAdmin + ":own"}}), 0, InsufficientScope},
		{"unknown tool with read", "nope", meta(nil), 0, ""},
		{"no meta", "load_snapshot", nil, 0, MissingToken},
		{"null", "load_snapshot", map[string]any{identity.MetaKey: nil}, 0, MissingToken},
		{"key in other case", "load_snapshot", map[string]any{strings.ToUpper(identity.MetaKey): meta(nil)[identity.MetaKey]}, 0, MissingToken},
		{"not an object", "load_snapshot", map[string]any{identity.MetaKey: "alice"}, 0, InvalidToken},
		{"user of another", "load_snapshot", meta(map[string]any{"subject": "bob"}), 0, InvalidToken},
		{"path for a user", "load_snapshot", meta(map[string]any{"user": "../bob"}), 0, InvalidToken},
		{"no subject", "load_snapshot", meta(map[string]any{"subject": ""}), 0, InvalidToken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := TrustedMeta{Now: func() time.Time { return noon.Add(test.after) }}
			d := p.Authorize(context.Background(), Request{Tool: test.tool, Meta: test.meta})
			if d.Error != test.err || d.Authorized != (test.err == "") {
				t.Fatalf("got %+v", d)
			}
			if d.Authorized && (d.Identity == nil || d.UserID != d.Identity.User) {
				t.Errorf("no identity: %+v", d)
			}
			if !d.Authorized && (d.Description == "" || d.RequiredScope != RequiredScope(test.tool)) {
				t.Errorf("not explained: %+v", d)
			}
		})
	}
}

func TestAScopeMayBeAskedForWithoutATool(t *testing.T) {
	for _, p := range []AuthorizationPolicy{TrustedMeta{Now: func() time.Time { return noon }}, Dummy{}} {
		request := Request{Scope: ScopeRead, Meta: meta(nil)}
		request.Meta["authorization"] = "Bearer valid-token"
		if d := p.Authorize(context.Background(), request); !d.Authorized {
			t.Errorf("%T: reading: %+v", p, d)
		}
		request.Scope = ScopeAdmin
		if d := p.Authorize(context.Background(), request); d.Error != InsufficientScope || d.RequiredScope != ScopeAdmin || d.Description == "" {
			t.Errorf("%T: administering: %+v", p, d)
		}
	}
}

func TestTrustedMetaReadsNoHeader(t *testing.T) {
	d := TrustedMeta{}.Authorize(context.Background(), Request{
		Tool:      "load_snapshot",
		Headers:   http.Header{"Authorization": {"Bearer valid-token"}, "X-User": {"alice"}},
		Arguments: []byte(`{"_meta":{}}`),
	})
	if d.Authorized || d.Error != MissingToken {
		t.Errorf("got %+v", d)
	}
}

func TestRefusalRepeatsNoUnknownToolName(t *testing.T) {
	d := TrustedMeta{}.Authorize(context.Background(), Request{
		Tool: "x\nCode: ok", Meta: meta(map[string]any{"scopes": []any{}, "expires": float64(0)}),
	})
	if d.Error != InsufficientScope || strings.Contains(d.Description, "ok") {
		t.Errorf("got %+v", d)
	}
}
