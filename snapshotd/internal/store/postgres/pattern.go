package postgres

import (
	"bytes"
	"slices"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// pattern is a term of a query: words at these distances from one another.
type pattern []element

// element is one word of a pattern, or all that begin so.
type element struct {
	from, to []byte // the words that pass: from, and up to but without to
	prefix   bool   // whether there may be several
	many     bool   // whether it is a prefix of more words than are counted
	at       int
}

func exactly(text string, at int) element {
	from := []byte(text)
	return element{from: from, to: append([]byte(text), 0), at: at} // nothing is between w and w+NUL
}

func beginning(text string, at int) element {
	from := []byte(text)
	return element{from: from, to: afterPrefix(from), prefix: true, at: at}
}

// patternsOf reads the terms of a query as texts are read. What is left of a term is
// never nothing, since a term has a letter or digit.
func patternsOf(query store.Query) []pattern {
	var patterns []pattern
	for _, term := range query {
		all := slices.Collect(tokens(term.Text))
		var p pattern
		for i, t := range all {
			switch {
			case t.kind == last && i > 0 && all[i-1].kind == pair:
				// The pair before holds it; what follows it in the text is not known.
			case t.kind == last, t.kind == word && term.Prefix && i == len(all)-1:
				p = append(p, beginning(t.text, t.at))
			default:
				p = append(p, exactly(t.text, t.at))
			}
		}
		if len(p) > 0 {
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// posting is a word of a snapshot.
type posting struct {
	snapshot int64
	word     []byte
	places   places
}

// occurrences counts how often a pattern stands in each field of one snapshot, whose
// postings these are.
func (p pattern) occurrences(postings []posting) (counts [fieldCount]int) {
	for field := range counts {
		if len(p) == 1 { // wherever it stands
			counts[field] = p[0].count(postings, field)
			continue
		}
		var starts []int // where the pattern may begin, by the elements so far
		for i, e := range p {
			if i == 0 {
				starts = e.places(postings, field)
			} else {
				at := e.places(postings, field)
				starts = slices.DeleteFunc(starts, func(start int) bool {
					_, found := slices.BinarySearch(at, start+e.at-p[0].at)
					return !found
				})
			}
			if len(starts) == 0 {
				break
			}
		}
		counts[field] = len(starts)
	}
	return counts
}

// passes says whether a word is the element's, or one of them.
func (e element) passes(word []byte) bool {
	return bytes.Compare(word, e.from) >= 0 && bytes.Compare(word, e.to) < 0
}

// count is how many places there are.
func (e element) count(postings []posting, field int) (n int) {
	for i := range postings {
		if e.passes(postings[i].word) {
			n += len(postings[i].places[field])
		}
	}
	return n
}

// places are those of all words that pass, in order. The slice is the caller's.
func (e element) places(postings []posting, field int) []int {
	var at []int
	for i := range postings {
		if e.passes(postings[i].word) {
			at = append(at, postings[i].places[field]...)
		}
	}
	slices.Sort(at)
	return at
}
