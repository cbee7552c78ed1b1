package store

import (
	"fmt"
	"strings"
	"unicode"
)

// MaxTerms is how many terms a query may have.
const MaxTerms = 32

// Term is a word or phrase of a query. It has at least one letter or digit.
type Term struct {
	Text   string
	Prefix bool // whether longer words that begin like its last word match, too
}

// Query is what to look for: snapshots that contain all terms.
type Query []Term

// ParseQuery reads a query as people write it. Words are separated by white space
// and must all occur, in any order and in any field; words in double quotes must
// occur as they stand, one after the other. A star at the end makes a prefix of
// a word or phrase. Case and accents do not matter. There is no other syntax, so
// nothing is an error of syntax: punctuation separates words as it does in the texts
// that are searched, and what has no letter or digit is left out.
//
// The error wraps ErrInvalid if there are more than MaxTerms.
func ParseQuery(text string) (Query, error) {
	var query Query
	for _, field := range splitQuery(text) {
		if strings.IndexFunc(field.Text, IsWord) >= 0 {
			query = append(query, field)
		}
	}
	if len(query) > MaxTerms {
		return nil, fmt.Errorf("%w: the query has %d words or phrases, and may have %d", ErrInvalid, len(query), MaxTerms)
	}
	return query, nil
}

// IsWord says whether a character is a part of a word, and not what separates words.
func IsWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func splitQuery(text string) []Term {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", " "), " ")
	var terms []Term
	for i, part := range strings.Split(text, `"`) {
		if i%2 == 1 { // within quotes, of which the last may be missing
			terms = append(terms, Term{Text: strings.TrimSpace(part)})
			continue
		}
		// A star that touches the closing quote belongs to the phrase.
		if rest, starred := strings.CutPrefix(part, "*"); starred && i > 0 {
			terms[len(terms)-1].Prefix = true
			part = rest
		}
		for _, word := range strings.Fields(part) {
			bare := strings.TrimRight(word, "*")
			terms = append(terms, Term{Text: bare, Prefix: bare != word})
		}
	}
	for i, term := range terms {
		if bare := strings.TrimRight(term.Text, "*"); bare != term.Text {
			terms[i] = Term{Text: bare, Prefix: true}
		}
	}
	return terms
}

// Unspaced says whether a text has letters of a script that is written without
// spaces between words, or, as Korean, with endings joined to them. There a word is
// found by looking for its characters anywhere.
func Unspaced(text string) bool { return strings.IndexFunc(text, IsUnspaced) >= 0 }

// unspaced are the letters of such scripts. The triggers of the schema hold the same.
var unspaced = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0E00, Hi: 0x109F, Stride: 1}, // Thai, Lao, Tibetan, Myanmar
		{Lo: 0x1100, Hi: 0x11FF, Stride: 1}, // Hangul Jamo
		{Lo: 0x1780, Hi: 0x17FF, Stride: 1}, // Khmer
		{Lo: 0x3040, Hi: 0x318F, Stride: 1}, // Hiragana, Katakana, Bopomofo, Hangul
		{Lo: 0x31A0, Hi: 0x31FF, Stride: 1}, // Bopomofo, strokes, Katakana
		{Lo: 0x3400, Hi: 0x4DBF, Stride: 1}, // Han
		{Lo: 0x4E00, Hi: 0x9FFF, Stride: 1}, // Han
		{Lo: 0xAC00, Hi: 0xD7FF, Stride: 1}, // Hangul
		{Lo: 0xF900, Hi: 0xFAFF, Stride: 1}, // Han
		{Lo: 0xFF66, Hi: 0xFFDC, Stride: 1}, // half-width Katakana and Hangul
	},
	R32: []unicode.Range32{{Lo: 0x20000, Hi: 0x3FFFF, Stride: 1}}, // Han
}

// IsUnspaced says whether [Unspaced] means this letter.
func IsUnspaced(r rune) bool { return unicode.Is(unspaced, r) }
