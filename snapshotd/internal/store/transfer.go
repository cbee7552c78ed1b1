package store

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Rule says what an import does with a snapshot whose id another one has.
type Rule int

// The rules.
const (
	// Skip keeps the one that is there and leaves the imported one out.
	Skip Rule = iota
	// Replace puts the imported one in its place.
	Replace
	// Renumber keeps both and gives the imported one a new id.
	Renumber
)

// Imported counts what became of imported snapshots.
type Imported struct {
	Added      int // under their own ids, or with a new one if they had none
	Renumbered int // under new ids, because theirs were taken
	Replaced   int // in the place of others
	Skipped    int // because another has the id
	Present    int // left out because they were there already
}

// MaxID is the highest id that an import may give: what a JSON number holds exactly. Ids
// go on from the highest there was, so one near the end of int64 would leave none.
const MaxID = 1<<53 - 1

// ExportBytes is how much text one call of [Store.Export] returns, and one snapshot more.
const ExportBytes = 16 << 20

// exportPage is how many snapshots [Each] takes at a time.
const exportPage = 100

// Each yields all snapshots above an id in the order of their ids. It takes them a
// page at a time, so that others can work meanwhile, and sees what they add. After
// an error it ends.
func Each(ctx context.Context, s Store, after int64) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		for {
			page, err := s.Export(ctx, after, exportPage)
			if err != nil {
				yield(Snapshot{}, err)
				return
			}
			for _, snapshot := range page {
				if !yield(snapshot, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

// Importable returns the snapshot as it is stored, or an error that wraps ErrInvalid.
func Importable(s Snapshot) (Snapshot, error) {
	if s.ID < 0 || s.ID > MaxID {
		return s, fmt.Errorf("%w: id %d, which must be from 1 to %d, or 0 for a new one", ErrInvalid, s.ID, int64(MaxID))
	}
	for _, layout := range []string{time.DateTime, time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, s.CreatedAt); err == nil {
			s.CreatedAt = at.UTC().Format(time.DateTime)
			if s.ContinuationPrompt == "" {
				s.ContinuationPrompt = s.Prompt()
			}
			return s, nil
		}
	}
	return s, fmt.Errorf("%w: snapshot %d was created at %q, which must be a time such as 2025-10-26 12:00:00", ErrInvalid, s.ID, s.CreatedAt)
}

// Problem is damage that a check found.
type Problem struct {
	What string
	// Repairable says whether [Store.Repair] mends it.
	Repairable bool
}
