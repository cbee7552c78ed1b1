package postgres

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// The fields of a snapshot, in the order in which places name them.
const (
	fieldName = iota
	fieldSummary
	fieldContext
	fieldNextSteps
	fieldCount
)

// places are where a word stands in a snapshot: ascending numbers for each field.
type places [fieldCount][]int

// title says whether the word stands in the name or the summary.
func (p *places) title() bool { return len(p[fieldName])+len(p[fieldSummary]) > 0 }

// encode writes, for each field, how many places there are and the distances between
// them, as varints: mostly a byte each.
func (p *places) encode() []byte {
	var out []byte
	for _, field := range p {
		out = binary.AppendUvarint(out, uint64(len(field)))
		before := 0
		for _, at := range field {
			out = binary.AppendUvarint(out, uint64(at-before))
			before = at
		}
	}
	return out
}

// decodePlaces reads what encode wrote, and as much of anything else as can be.
func decodePlaces(in []byte) (p places) {
	next := func() int {
		v, n := binary.Uvarint(in)
		if n <= 0 {
			in = nil
			return 0
		}
		in = in[n:]
		return int(v)
	}
	for field := range p {
		at, n := 0, min(next(), len(in))
		if n > 0 {
			p[field] = make([]int, 0, n)
		}
		for range n {
			at += next()
			p[field] = append(p[field], at)
		}
	}
	return p
}

// index is what the search knows of a snapshot.
type index struct {
	words  map[string]*places
	length int64 // tokens in all fields
}

func indexOf(draft store.Draft) index {
	x := index{words: make(map[string]*places)}
	for field, text := range [fieldCount]string{draft.Name, draft.Summary, draft.Context, draft.NextSteps} {
		for t := range tokens(text) {
			of := x.words[t.text]
			if of == nil {
				of = new(places)
				x.words[t.text] = of
			}
			of[field] = append(of[field], t.at)
			x.length++
		}
	}
	return x
}

// sorted are the words in the order of the index, which is the quickest to write.
func (x index) sorted() []string {
	words := make([]string, 0, len(x.words))
	for w := range x.words {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

// wordsAtOnce is how many rows one statement adds.
const wordsAtOnce = 5000

func (w *writing) insertWords(ctx context.Context, id int64, x index) error {
	for some := range slices.Chunk(x.sorted(), wordsAtOnce) {
		words, titles, all := make([][]byte, len(some)), make([]bool, len(some)), make([][]byte, len(some))
		for i, text := range some {
			of := x.words[text]
			words[i], titles[i], all[i] = []byte(text), of.title(), of.encode()
		}
		_, err := w.Exec(ctx, `INSERT INTO snapshotd_words (owner, snapshot, word, title, places)
			SELECT $1::text, $2::bigint, u.word, u.title, u.places
			FROM unnest($3::bytea[], $4::boolean[], $5::bytea[]) AS u(word, title, places)`,
			w.store.owner, id, words, titles, all)
		if err != nil {
			return err
		}
	}
	return nil
}
