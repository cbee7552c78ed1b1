package postgres

import (
	"iter"
	"unicode"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// longestWord is how many bytes of a word count: rows of an index have a limit, and
// what is longer is no word that anyone types. Words that begin alike so far are one.
const longestWord = 64

// token is what a text is found by.
type token struct {
	text string
	at   int // its place among the words and characters of its text
	kind tokenKind
}

type tokenKind int

const (
	word tokenKind = iota // of a script with spaces: lower case, without accents
	pair                  // a character of a script without spaces, and the one after it
	last                  // such a character with none after it
)

// tokens yields the tokens of a text. A word of a script that is written without spaces
// is found by looking for its characters anywhere, so each of them is a token, together
// with its successor, because single characters are far too frequent. Other words are
// tokens as they are, and begin and end where such characters stand beside them.
func tokens(text string) iter.Seq[token] {
	return func(yield func(token) bool) {
		t := tokenizer{yield: yield}
		for _, r := range text {
			switch {
			case store.IsUnspaced(r) && (store.IsWord(r) || unicode.IsMark(r)):
				t.unspaced(r)
			case store.IsWord(r):
				t.flushCharacter()
				t.word = append(t.word, store.FoldRune(r))
			case unicode.Is(unicode.Mn, r): // an accent of its own
			default:
				t.flushCharacter()
				t.flushWord()
			}
			if t.ended {
				return
			}
		}
		t.flushCharacter()
		t.flushWord()
	}
}

// tokenizer holds what is not yielded yet: at most one of a word and a character.
type tokenizer struct {
	yield     func(token) bool
	ended     bool
	at        int
	word      []rune
	character rune // 0 for none
}

func (t *tokenizer) emit(text string, kind tokenKind) {
	if !t.ended {
		t.ended = !t.yield(token{text[:min(len(text), longestWord)], t.at, kind})
	}
	t.at++
}

func (t *tokenizer) unspaced(r rune) {
	t.flushWord()
	if t.character != 0 {
		t.emit(string([]rune{t.character, r}), pair)
	}
	t.character = r
}

func (t *tokenizer) flushCharacter() {
	if t.character != 0 {
		t.emit(string(t.character), last)
		t.character = 0
	}
}

func (t *tokenizer) flushWord() {
	if len(t.word) > 0 {
		t.emit(string(t.word), word)
		t.word = t.word[:0]
	}
}
