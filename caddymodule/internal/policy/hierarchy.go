package policy

import (
	"errors"
	"fmt"
	"slices"
)

// Implication says that whoever has a scope has others with it.
type Implication struct {
	Scope   string
	Implies []string
}

// hierarchy has for each scope all that it implies, directly or by way of others, and
// never the scope itself. Two scopes that imply one another are worth the same.
type hierarchy map[string][]string

func newHierarchy(implications []Implication) (hierarchy, error) {
	direct := map[string][]string{}
	for _, i := range implications {
		if err := checkScopes(append([]string{i.Scope}, i.Implies...)); err != nil {
			return nil, fmt.Errorf("imply: %w", err)
		}
		switch {
		case len(i.Implies) == 0:
			return nil, fmt.Errorf("imply %s: names no scope that it implies", i.Scope)
		case slices.Contains(i.Implies, i.Scope):
			return nil, fmt.Errorf("imply %s: %w", i.Scope, errImpliesItself)
		}
		direct[i.Scope] = appendMissing(direct[i.Scope], i.Implies)
	}
	h := make(hierarchy, len(direct))
	for scope := range direct {
		reached := []string{scope}
		for i := 0; i < len(reached); i++ {
			reached = appendMissing(reached, direct[reached[i]])
		}
		h[scope] = reached[1:]
	}
	return h, nil
}

var errImpliesItself = errors.New("a scope need not imply itself")

// expand returns the scopes with all that they imply. If they imply nothing it is the
// same slice.
func (h hierarchy) expand(scopes []string) []string {
	all := scopes
	for _, scope := range scopes {
		if implied := h[scope]; implied != nil {
			all = appendMissing(slices.Clip(all), implied)
		}
	}
	return all
}

// least leaves out what others in the list imply. Of scopes that imply one another the
// first stays.
func (h hierarchy) least(scopes []string) []string {
	if len(h) == 0 {
		return scopes
	}
	var kept []string
	for i, scope := range scopes {
		if !slices.ContainsFunc(scopes, func(other string) bool {
			return slices.Contains(h[other], scope) && (!slices.Contains(h[scope], other) || slices.Index(scopes, other) < i)
		}) {
			kept = append(kept, scope)
		}
	}
	return kept
}
