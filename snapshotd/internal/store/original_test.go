package store

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"
)

// What the original server does to a file keeps the search index and the totals right.
func TestOriginalsWritesAreSearchedAndCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	save(t, s, Draft{Summary: "ours", Context: "c"})
	exec(t, path, lastSchemaAgain+`
INSERT INTO snapshots (name, summary, context, next_steps, continuation_prompt) VALUES ('', 'theirs', '東京で', NULL, 'p');
INSERT INTO snapshots (name, summary, context, next_steps, continuation_prompt) VALUES ('gone', 'gone', '大阪で', 'n', 'p');
DELETE FROM snapshots WHERE name = 'gone';
UPDATE snapshots SET context = '京都で' WHERE summary = 'ours';`)
	for query, want := range map[string][]int64{
		"theirs": {2}, "東京": {2}, "gone": nil, "大阪": nil, "ours": {1}, "京都": {1}, "c": nil,
	} {
		found, err := s.Search(context.Background(), query, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, m := range found.Matches {
			ids = append(ids, m.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: %v, want %v", query, ids, want)
		}
	}
	u, err := s.Usage(context.Background())
	if want := int64(len("ours京都でtheirs東京で")); err != nil || u.Snapshots != 2 || u.Bytes != want {
		t.Errorf("usage %+v, %v; want 2 of %d", u, err, want)
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}

// lastSchemaAgain is what the original runs on a file that is up to date.
const lastSchemaAgain = firstSchema

// The id that the original's driver reports is sqlite3_last_insert_rowid, which
// inserts in triggers and full-text tables must leave alone.
func TestLastInsertRowIDIsTheSnapshots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	for range 70 {
		save(t, s, Draft{Summary: "東京", Context: "c"})
	}
	result, err := s.db.Exec(`INSERT INTO snapshots (summary, context) VALUES ('s', '京都')`)
	if err != nil {
		t.Fatal(err)
	}
	id, err := result.LastInsertId()
	changed, errChanged := result.RowsAffected()
	if id != 71 || changed != 1 || err != nil || errChanged != nil {
		t.Errorf("id %d, %d rows, %v %v", id, changed, err, errChanged)
	}
}

// The triggers and the queries must agree on which letters are in the second index.
func TestSchemaAndQueriesAgreeOnScripts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing is to be kept
	insert, err := tx.Prepare(`INSERT INTO snapshots (id, summary, context) VALUES (?, ?, '')`)
	if err != nil {
		t.Fatal(err)
	}
	var want []int64
	for r := rune(1); r < 0x40100; r++ {
		// All of the edges and a sample of the rest.
		edge := IsUnspaced(r) != IsUnspaced(r-1) || IsUnspaced(r) != IsUnspaced(r+1)
		if !utf8.ValidRune(r) || !edge && r%97 != 0 {
			continue
		}
		if _, err := insert.Exec(r, string(r)); err != nil {
			t.Fatal(err)
		}
		if IsUnspaced(r) {
			want = append(want, int64(r))
		}
	}
	got, err := oldest(context.Background(), tx, `id IN (SELECT id FROM snapshotd_unspaced) ORDER BY id`)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d of %d letters, %v", len(got), len(want), err)
	}
}
