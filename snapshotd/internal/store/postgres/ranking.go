package postgres

import (
	"cmp"
	"math"
	"slices"
)

// The constants of BM25 as SQLite's FTS5 has them, and its weights of the fields there.
const (
	saturation = 1.2
	lengthPart = 0.75
)

var weights = [fieldCount]float64{fieldName: 10, fieldSummary: 5, fieldContext: 1, fieldNextSteps: 2}

// ranking knows of all snapshots what BM25 needs: how many there are, how many words
// they have together, and in how many each term is.
type ranking struct {
	snapshots, words int64
	rarity           []int64
}

// score is the higher the better. How rare a phrase is is taken from its rarest word,
// and beyond [countedMatches] all are equally common.
func (r ranking) score(counts occurrences, length int64) float64 {
	average := float64(max(r.words, 1)) / float64(max(r.snapshots, 1))
	score := 0.0
	for i, fields := range counts {
		weighted := 0.0
		for field, n := range fields {
			weighted += weights[field] * float64(n)
		}
		with := float64(min(r.rarity[i], r.snapshots))
		// A word in more than half of all would count against a snapshot.
		inverse := max(math.Log((float64(r.snapshots)-with+0.5)/(with+0.5)), 1e-6)
		score += inverse * weighted * (saturation + 1) /
			(weighted + saturation*(1-lengthPart+lengthPart*float64(length)/average))
	}
	return score
}

// scored is a match before its snapshot is read.
type scored struct {
	id    int64
	score float64
}

// bestFirst returns the ids in the order of their scores, equals newest first.
func bestFirst(all []scored) []int64 {
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.id, a.id))
	})
	ids := make([]int64, len(all))
	for i, s := range all {
		ids[i] = s.id
	}
	return ids
}
