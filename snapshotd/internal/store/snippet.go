package store

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// snippetRunes is how long a snippet is at most.
	snippetRunes = 160
	// snippetLead is how much of it stands before the first hit.
	snippetLead = 40
	// snippetScan is how many bytes of a field are looked through for hits. Beyond
	// it a long text is no worse found, only shown from its beginning.
	snippetScan = 256 << 10
)

// Snippet is the part of a snapshot that shows why a search found it.
type Snippet struct {
	Field string // context, next_steps, summary or name
	Text  string // on one line; "…" stands for what was cut off
	// Hits are the places of the query's terms in Text, as byte offsets from and to.
	Hits [][2]int
}

// Snippet returns where the snapshot says what the query looks for: in the context
// if it is there, since a result shows name and summary anyway.
func (q Query) Snippet(s Snapshot) Snippet {
	fields := []struct{ name, text string }{
		{"context", s.Context}, {"next_steps", s.NextSteps}, {"summary", s.Summary}, {"name", s.Name},
	}
	for _, field := range fields {
		folded := fold(field.text[:min(len(field.text), snippetScan)])
		if spans := q.find(folded); len(spans) > 0 {
			return cut(field.name, folded.source, spans)
		}
	}
	return cut("context", s.Context, nil)
}

// foldedText is a text as search indexes see it: lower case, no accents, one space
// for whatever stands between words.
type foldedText struct {
	source string
	runes  []rune
	from   []int // byte offset in source for each rune, and its end for one more
}

func fold(text string) foldedText {
	f := foldedText{source: text}
	space := true // none before the first word
	for at, r := range text {
		switch {
		case r < utf8.RuneSelf && IsWord(r), IsWord(r):
			f.runes, f.from = append(f.runes, FoldRune(r)), append(f.from, at)
			space = false
		case unicode.Is(unicode.Mn, r): // an accent of its own
		case !space:
			f.runes, f.from = append(f.runes, ' '), append(f.from, at)
			space = true
		}
	}
	f.from = append(f.from, len(text))
	return f
}

// FoldRune returns a letter as search indexes see it: lower case, no accent.
func FoldRune(r rune) rune {
	if r >= utf8.RuneSelf {
		if parts := norm.NFD.PropertiesString(string(r)).Decomposition(); len(parts) > 0 && !unicode.Is(unicode.Hangul, r) {
			r, _ = utf8.DecodeRune(parts)
		}
	}
	return unicode.ToLower(r)
}

// find returns the places of the terms, as rune indexes, in order and apart.
func (q Query) find(f foldedText) [][2]int {
	var spans [][2]int
	for _, term := range q {
		wanted := fold(term.Text).runes
		if n := len(wanted); n > 0 && wanted[n-1] == ' ' {
			wanted = wanted[:n-1]
		}
		if len(wanted) == 0 {
			continue
		}
		within := Unspaced(term.Text)
		for i := 0; i+len(wanted) <= len(f.runes); i++ {
			end := i + len(wanted)
			if f.runes[i] != wanted[0] || !slices.Equal(f.runes[i:end], wanted) {
				continue
			}
			starts := i == 0 || f.runes[i-1] == ' '
			ends := end == len(f.runes) || f.runes[end] == ' ' || term.Prefix
			if within || starts && ends {
				spans = append(spans, [2]int{f.from[i], f.from[end-1] + runeBytes(f.source[f.from[end-1]:])})
			}
		}
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	return apart(spans)
}

func runeBytes(text string) int {
	_, n := utf8.DecodeRuneInString(text)
	return n
}

// apart leaves out spans that begin within the one before.
func apart(spans [][2]int) [][2]int {
	var kept [][2]int
	for _, s := range spans {
		if len(kept) == 0 || s[0] >= kept[len(kept)-1][1] {
			kept = append(kept, s)
		}
	}
	return kept
}

// cut makes a snippet around the first of the spans, which are byte offsets.
func cut(field, text string, spans [][2]int) Snippet {
	from := 0
	if len(spans) > 0 {
		from = spans[0][0]
		for range snippetLead {
			_, n := utf8.DecodeLastRuneInString(text[:from])
			from -= n
		}
	}
	s := Snippet{Field: field}
	out := make([]byte, 0, snippetRunes+8)
	if from > 0 {
		out = append(out, "…"...)
	}
	at := make(map[int]int) // byte offset in text to offset in out
	end := from
	for i, r := range text[from:] {
		if end = from + i; i > 0 && utf8.RuneCount(out) >= snippetRunes {
			break
		}
		at[end] = len(out)
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			r = ' '
		}
		out = utf8.AppendRune(out, r)
		end += utf8.RuneLen(r)
	}
	return s.mark(out, at, spans, end < len(text))
}

// mark puts the spans that were not cut off into the snippet.
func (s Snippet) mark(out []byte, at map[int]int, spans [][2]int, more bool) Snippet {
	end := len(out)
	for _, span := range spans {
		start, ok := at[span[0]]
		if !ok {
			break
		}
		stop, ok := at[span[1]]
		if !ok {
			stop = end
		}
		s.Hits = append(s.Hits, [2]int{start, stop})
	}
	if more {
		out = append(out, "…"...)
	}
	s.Text = string(out)
	return s
}
