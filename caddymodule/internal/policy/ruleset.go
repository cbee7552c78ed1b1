package policy

// ruleset are the rules of one kind, in the order in which they are looked at.
type ruleset struct {
	kind  string
	rules int // how many there are
	exact map[string]*compiledRule
	globs []*compiledRule
	// foldedExact has the plain names in folded form. If several fold to one, the
	// first.
	foldedExact map[string]*compiledRule
}

type compiledRule struct {
	Rule
	label   string // the rule in audit records
	pattern glob
	folded  glob
}

func compile(kind string, rules []Rule, builtin ...string) *ruleset {
	s := &ruleset{kind: kind, exact: map[string]*compiledRule{}, foldedExact: map[string]*compiledRule{}}
	for _, r := range rules {
		if r.Kind == kind {
			s.add(r)
			s.rules++
		}
	}
	// Names with a meaning of their own have look-alikes too. They come last, so
	// that a rule on such a name stays the one that decides.
	for _, name := range builtin {
		folded := fold(name)
		if s.foldedExact[folded] == nil {
			s.foldedExact[folded] = &compiledRule{Rule: Rule{Kind: kind, Pattern: name}}
		}
	}
	return s
}

func (s *ruleset) add(r Rule) {
	c := &compiledRule{Rule: r, label: r.String(), pattern: newGlob(r.Pattern)}
	c.folded = c.pattern.folded()
	if !c.pattern.exact() {
		s.globs = append(s.globs, c)
		return
	}
	if s.exact[r.Pattern] == nil {
		s.exact[r.Pattern] = c
	}
	if s.foldedExact[c.folded.text] == nil {
		s.foldedExact[c.folded.text] = c
	}
}

// rule appends the rule that allows a name with scopes, if there is one, or says why
// nobody may use the name.
func (s *ruleset) rule(dst []*compiledRule, name string) (rules []*compiledRule, refusal string) {
	if s.rules == 0 && len(s.foldedExact) == 0 {
		return dst, ""
	}
	if len(name) > maxNameBytes {
		return nil, refusedLength(s.kind)
	}
	rule, evaded := s.find(name)
	switch {
	case evaded != nil:
		return nil, "look-alike " + evaded.Kind + " " + evaded.Pattern
	case rule == nil:
		return dst, ""
	case rule.Deny:
		return nil, rule.label
	}
	return append(dst, rule), ""
}

func refusedLength(kind string) string { return kind + " name longer than 4 KiB" }

// find returns the rule that decides about a name, nil if there is none, or else
// the rule that the name evades by looking like what it rules.
func (s *ruleset) find(name string) (rule, evaded *compiledRule) {
	if r := s.exact[name]; r != nil {
		return r, nil
	}
	folded := fold(name)
	if r := s.foldedExact[folded]; r != nil && r.Pattern != name {
		return nil, r
	}
	for _, r := range s.globs {
		switch {
		case r.pattern.match(name):
			return r, nil
		case r.folded.match(folded) && !s.tellsApart(r, name):
			return nil, r
		}
	}
	return nil, nil
}

// tellsApart says whether the operator wrote the rule's pattern in another case
// as well, as in "Get*" beside "get*": then the difference is meant.
func (s *ruleset) tellsApart(r *compiledRule, name string) bool {
	for _, other := range s.globs {
		if other != r && other.folded.text == r.folded.text && other.pattern.match(name) {
			return true
		}
	}
	return false
}
