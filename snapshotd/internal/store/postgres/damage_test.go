package postgres

import (
	"errors"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestDamageIsFoundAndRepaired(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	s := acquire(t, open(t, server.URL(pgtest.Role, name), Options{}), ownerOf("alice"))
	for _, draft := range []store.Draft{{Name: "n", Summary: "one", Context: "word 東京"}, {Summary: "two", Context: "words"}} {
		save(t, s, draft)
	}
	for what, statement := range map[string]string{
		"totals":         `UPDATE snapshotd_users SET bytes = bytes + 1`,
		"last id":        `UPDATE snapshotd_users SET last_id = 1`,
		"missing word":   `DELETE FROM snapshotd_words WHERE word = 'word'`,
		"moved word":     `UPDATE snapshotd_words SET places = '\x00000100' WHERE word = 'words'`,
		"changed text":   `UPDATE snapshotd_snapshots SET context = 'other words' WHERE id = 2`,
		"unknown title":  `UPDATE snapshotd_words SET title = NOT title WHERE word = 'one'`,
		"orphaned words": `INSERT INTO snapshotd_words SELECT owner, 9, word, title, places FROM snapshotd_words WHERE snapshot = 1`,
	} {
		server.Exec(t, name, statement)
		problems, err := s.Check(patient(t))
		if err != nil || len(problems) == 0 || !problems[0].Repairable {
			t.Errorf("%s: found %v, %v", what, problems, err)
		}
		if err := s.Repair(patient(t)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		healthy(t, s)
	}
}

func TestWhatTheServerCannotHoldIsRefused(t *testing.T) {
	s := acquire(t, open(t, pgtest.Shared(t).Database(t), Options{}), ownerOf("alice"))
	draft := store.Draft{Summary: "s", Context: "a\x00b"}
	if _, err := s.Save(patient(t), draft); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("save: %v", err)
	}
	snapshot := store.Snapshot{Draft: draft, Saved: store.Saved{ID: 1, CreatedAt: "2025-10-26 12:00:00"}}
	if _, err := s.Import(patient(t), []store.Snapshot{snapshot}, store.Skip); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("import: %v", err)
	}
	if _, err := s.LoadNamed(patient(t), "a\x00b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("load: %v", err)
	}
}
