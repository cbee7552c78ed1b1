package caddymodule

import (
	"slices"
	"strings"
)

// condition is what requests meet that take a trail: one of hosts, one of paths, or something
// else that is known by its step in the walk only.
type condition struct {
	hosts, paths []string
	changes      int // how many may have changed the host, or the path, before it is looked at
	step         int
	rest         bool // what earlier routes of a group leave over
}

// covers says whether all requests that take the other trail would come to the handler at the
// end of this one first. It may say no where that is so, but says yes only where it is: what
// requests of this trail meet must follow, condition by condition, from what those of the other do.
func (t trail) covers(other trail) bool {
	return t.server == other.server && t.order < other.order && t.admits(other)
}

// admits says whether a request that meets the other's conditions meets these.
func (t trail) admits(other trail) bool {
	for _, c := range t.conditions {
		if !slices.ContainsFunc(other.conditions, c.follows) {
			return false
		}
	}
	return true
}

// follows says whether a condition holds wherever another does. The well-known paths that a
// directive takes beside its own do not count: it is about those that are called.
func (c condition) follows(from condition) bool {
	switch {
	case c.hosts != nil:
		return from.hosts != nil && c.changes == from.changes && within(from.hosts, c.hosts, hostWithin)
	case c.paths != nil:
		paths := slices.DeleteFunc(slices.Clone(from.paths), isWellKnown)
		return len(paths) > 0 && c.changes == from.changes && within(paths, c.paths, pathWithin)
	}
	return c.step != 0 && c.step == from.step
}

// within says whether each of some patterns stands for nothing that none of others stands for.
func within(patterns, others []string, in func(pattern, other string) bool) bool {
	for _, pattern := range patterns {
		if !slices.ContainsFunc(others, func(other string) bool { return in(pattern, other) }) {
			return false
		}
	}
	return true
}

// hostWithin takes a * in a name for any one label, as [caddyhttp.MatchHost] does.
func hostWithin(host, other string) bool {
	if strings.EqualFold(host, other) {
		return true
	}
	labels, others := strings.Split(host, "."), strings.Split(other, ".")
	return !strings.Contains(host, "{") && slices.EqualFunc(labels, others, func(label, other string) bool {
		return other == "*" || strings.EqualFold(label, other)
	})
}

// pathWithin knows of the patterns of [caddyhttp.MatchPath] the exact ones, and those that end in
// their only *.
func pathWithin(path, other string) bool {
	if other == "*" || other == "/*" || strings.EqualFold(path, other) {
		return true
	}
	prefix, ok := strings.CutSuffix(other, "*")
	return ok && !strings.ContainsAny(prefix, "*?[\\%{") && !strings.ContainsAny(path, "%{") &&
		len(path) >= len(prefix) && strings.EqualFold(path[:len(prefix)], prefix)
}
