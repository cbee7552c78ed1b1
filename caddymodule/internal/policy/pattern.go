package policy

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// glob is a pattern in which * stands for any run of characters, or none.
type glob struct {
	text  string
	parts []string // what stands between the asterisks
}

func newGlob(text string) glob {
	return glob{text: text, parts: strings.Split(text, "*")}
}

// folded is the pattern for folded names. Its parts are folded one by one, so
// that no other character can turn into an asterisk.
func (g glob) folded() glob {
	parts := make([]string, len(g.parts))
	for i, part := range g.parts {
		parts[i] = fold(part)
	}
	return glob{text: strings.Join(parts, "*"), parts: parts}
}

// exact says whether the pattern is a plain name.
func (g glob) exact() bool { return len(g.parts) == 1 }

// match takes time linear in the name for each part: finding each part as early
// as it occurs leaves the most room for the rest, so nothing is tried twice.
func (g glob) match(name string) bool {
	if g.exact() {
		return name == g.text
	}
	first, last := g.parts[0], g.parts[len(g.parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range g.parts[1 : len(g.parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}

// fold maps names that a lax server could take for one another to one string:
// NFKC, then full case folding, and again until nothing changes, for folding can
// undo normalization (Unicode Standard section 3.13, toNFKC_Casefold).
func fold(name string) string {
	if isFolded(name) {
		return name
	}
	caser := cases.Fold()
	for range 4 {
		folded := norm.NFKC.String(caser.String(norm.NFKC.String(name)))
		if folded == name {
			break
		}
		name = folded
	}
	return name
}

// isFolded spares the common names the work.
func isFolded(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

var (
	errEmptyPattern = errors.New("has an empty name")
	errBadPattern   = errors.New("has a name with control characters or bad UTF-8")
)

func checkPattern(pattern string) error {
	switch {
	case pattern == "":
		return errEmptyPattern
	case !utf8.ValidString(pattern) || strings.ContainsFunc(pattern, unicode.IsControl):
		return errBadPattern
	}
	return nil
}
