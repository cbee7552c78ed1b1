package policy

import "slices"

// The scopes of the tools. Each stands for itself: whoever may administer may not read
// or write snapshots of their own for that.
const (
	ScopeRead   = "snapshot:read"
	ScopeWrite  = "snapshot:write"
	ScopeDelete = "snapshot:delete"
	ScopeExport = "snapshot:export"
	// ScopeAdmin is for the tools that concern other users' snapshots.
	ScopeAdmin = "snapshot:admin"
)

// own is what may follow a scope that concerns the caller's own snapshots. They are the
// only ones that such a scope is for, so it means the same with and without.
const own = ":own"

// scopes are those of all tools.
var scopes = map[string]string{
	"save_snapshot":    ScopeWrite,
	"load_snapshot":    ScopeRead,
	"list_snapshots":   ScopeRead,
	"delete_snapshot":  ScopeDelete,
	"find_snapshots":   ScopeRead,
	"search_snapshots": ScopeRead,
	"snapshot_usage":   ScopeRead,
	"export_snapshots": ScopeExport,

	"list_users":             ScopeAdmin,
	"admin_find_snapshots":   ScopeAdmin,
	"admin_load_snapshot":    ScopeAdmin,
	"admin_export_snapshots": ScopeAdmin,
	"admin_delete_snapshot":  ScopeAdmin,
}

// RequiredScope is the scope that a call of the tool needs. Unknown tools need
// ScopeRead, so that only who may read learns which tools there are.
func RequiredScope(tool string) string {
	if scope := scopes[tool]; scope != "" {
		return scope
	}
	return ScopeRead
}

// Grants says whether the granted scopes hold the one that is needed, as it stands or,
// ScopeAdmin excepted, with ":own" behind it. Scopes are case-sensitive (RFC 6749
// section 3.3).
func Grants(granted []string, scope string) bool {
	return slices.Contains(granted, scope) || scope != ScopeAdmin && slices.Contains(granted, scope+own)
}
