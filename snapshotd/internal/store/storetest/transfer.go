package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

var transferTests = []contract{
	{"WhatIsExportedCanBeImported", testRoundTrip},
	{"ExportIsPagedByID", testExportPages},
	{"RulesForTakenIDs", testImportRules},
	{"ImportIsAllOrNothing", testImportAllOrNothing},
	{"WrongSnapshotsAreRefused", testImportWrong},
	{"AnImportKeepsToTheLimits", testImportLimits},
	{"ARefusedImportSuggestsWhatToDelete", testImportSuggests},
}

func export(t *testing.T, s store.Store) []store.Snapshot {
	t.Helper()
	var all []store.Snapshot
	for snapshot, err := range store.Each(context.Background(), s, 0) {
		if err != nil {
			t.Fatalf("export: %v", err)
		}
		all = append(all, snapshot)
	}
	return all
}

func testRoundTrip(t *testing.T, open Open) {
	c := newClock()
	from, to := open(t, store.Settings{Now: c.Now}), open(t, store.Settings{})
	ids := fill(t, from, c, 230)
	save(t, from, store.Draft{Name: "n", Summary: "東京 😀", Context: "c\n", NextSteps: "x"})
	if err := from.Delete(context.Background(), ids[3]); err != nil {
		t.Fatal(err)
	}
	all := export(t, from)
	if len(all) != 230 {
		t.Fatalf("exported %d", len(all))
	}
	all[5].ContinuationPrompt = "one of its own"
	for i := range 2 { // the second time as if the first had broken off
		got, err := to.Import(context.Background(), all, store.Skip)
		want := store.Imported{Added: 230}
		if i == 1 {
			want = store.Imported{Present: 230}
		}
		if err != nil || got != want {
			t.Errorf("%d: imported %+v, %v; want %+v", i, got, err, want)
		}
	}
	if got := export(t, to); !slices.Equal(got, all) {
		t.Errorf("got %.500v\nwant %.500v", got, all)
	}
	if next := save(t, to, store.Draft{Summary: "s", Context: "c"}); next.ID <= all[len(all)-1].ID {
		t.Errorf("saved as %d after an import up to %d", next.ID, all[len(all)-1].ID)
	}
	if got := search(t, to, "東京"); len(got) != 1 {
		t.Errorf("search found %v", got)
	}
	healthy(t, to)
}

func testExportPages(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	var want []int64
	for range 3 {
		want = append(want, save(t, s, store.Draft{Summary: "s", Context: strings.Repeat("c", 9<<20)}).ID)
	}
	want = append(want, save(t, s, store.Draft{Summary: "s", Context: "c"}).ID)
	page, err := s.Export(context.Background(), 0, 100)
	if err != nil || len(page) == 0 || len(page) > 3 {
		t.Errorf("%d snapshots of 9 MiB at once, %v", len(page), err)
	}
	var got []int64
	for _, snapshot := range export(t, s) {
		got = append(got, snapshot.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if page, err := s.Export(context.Background(), want[1], 1); err != nil || len(page) != 1 || page[0].ID != want[2] {
		t.Errorf("after %d: %v", want[1], err)
	}
}

func snapshotOf(id int64, summary string) store.Snapshot {
	return store.Snapshot{
		Draft: store.Draft{Summary: summary, Context: "c"},
		Saved: store.Saved{ID: id, CreatedAt: "2025-10-26 12:00:00"},
	}
}

func testImportRules(t *testing.T, open Open) {
	for rule, test := range map[store.Rule]struct {
		want store.Imported
		left []string
	}{
		store.Skip:     {store.Imported{Skipped: 1, Added: 2}, []string{"7 old", "8 free", "9 no id"}},
		store.Replace:  {store.Imported{Replaced: 1, Added: 2}, []string{"7 new", "8 free", "9 no id"}},
		store.Renumber: {store.Imported{Renumbered: 1, Added: 2}, []string{"7 old", "8 free", "9 new", "10 no id"}},
	} {
		var changes []store.Change
		s := open(t, store.Settings{Changed: func(c store.Change) { changes = append(changes, c) }})
		ctx := context.Background()
		if _, err := s.Import(ctx, []store.Snapshot{snapshotOf(7, "old")}, rule); err != nil {
			t.Fatal(err)
		}
		batch := []store.Snapshot{snapshotOf(8, "free"), snapshotOf(7, "new"), snapshotOf(0, "no id")}
		if got, err := s.Import(ctx, batch, rule); err != nil || got != test.want {
			t.Errorf("rule %d: %+v, %v; want %+v", rule, got, err, test.want)
		}
		again, err := s.Import(ctx, batch, rule)
		if err != nil || again.Added+again.Replaced+again.Renumbered != 0 {
			t.Errorf("rule %d, again: %+v, %v", rule, again, err)
		}
		var left []string
		for _, snapshot := range export(t, s) {
			left = append(left, fmt.Sprint(snapshot.ID, " ", snapshot.Summary))
		}
		if !slices.Equal(left, test.left) {
			t.Errorf("rule %d: left %q, want %q", rule, left, test.left)
		}
		if len(changes) != 2 || len(changes[1].Added)+len(changes[1].Replaced) != len(left)-1+test.want.Replaced {
			t.Errorf("rule %d: changes %v", rule, changes)
		}
		if found := search(t, s, "old"); (len(found) == 0) != (rule == store.Replace) {
			t.Errorf("rule %d: search found %v", rule, found)
		}
		healthy(t, s)
	}
}

func testImportAllOrNothing(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	bad := snapshotOf(2, "bad")
	bad.CreatedAt = "yesterday"
	if _, err := s.Import(context.Background(), []store.Snapshot{snapshotOf(1, "good"), bad}, store.Skip); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if u := usage(t, s); u.Snapshots != 0 {
		t.Errorf("%d are there", u.Snapshots)
	}
}

func testImportWrong(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	ctx := context.Background()
	if _, err := s.Import(ctx, []store.Snapshot{snapshotOf(-1, "negative")}, store.Skip); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("negative id: %v", err)
	}
	if _, err := s.Import(ctx, []store.Snapshot{snapshotOf(store.MaxID+1, "leaves no id after it")}, store.Skip); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an id that is too high: %v", err)
	}
	if _, err := s.Import(ctx, make([]store.Snapshot, store.MaxPage+1), store.Skip); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
	other := snapshotOf(3, "another form of time")
	other.CreatedAt = "2025-10-26T14:00:00.5+02:00"
	if _, err := s.Import(ctx, []store.Snapshot{other}, store.Skip); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Load(ctx, 3); err != nil || found.CreatedAt != noon.Format(time.DateTime) || found.ContinuationPrompt != other.Prompt() {
		t.Errorf("%+v, %v", found, err)
	}
}

func testImportLimits(t *testing.T, open Open) {
	s := open(t, store.Settings{Limits: store.Limits{Snapshots: 2, SnapshotBytes: 10}, Retention: store.Retention{MaxCount: 1}})
	ctx := context.Background()
	var refused *store.QuotaError
	if _, err := s.Import(ctx, []store.Snapshot{snapshotOf(1, "a"), snapshotOf(2, "b"), snapshotOf(3, "c")}, store.Skip); !errors.As(err, &refused) || refused.Quota != store.QuotaSnapshots {
		t.Errorf("three of two: %v", err)
	}
	if _, err := s.Import(ctx, []store.Snapshot{snapshotOf(1, "larger than ten")}, store.Skip); !errors.As(err, &refused) || refused.Quota != store.QuotaSnapshotBytes {
		t.Errorf("one too large: %v", err)
	}
	if got, err := s.Import(ctx, []store.Snapshot{snapshotOf(1, "a"), snapshotOf(2, "b")}, store.Skip); err != nil || got.Added != 2 {
		t.Errorf("two of two, with retention: %+v, %v", got, err)
	}
	if u := usage(t, s); u.Snapshots != 2 {
		t.Errorf("the retention does not apply to imports: %d are left", u.Snapshots)
	}
}

func testImportSuggests(t *testing.T, open Open) {
	s := open(t, store.Settings{Limits: store.Limits{Snapshots: 3}})
	ctx := context.Background()
	named := snapshotOf(1, "a")
	named.Name = "n"
	older := snapshotOf(3, "the oldest, but not one that is there")
	older.CreatedAt = "2020-01-01 00:00:00"
	if _, err := s.Import(ctx, []store.Snapshot{named, snapshotOf(2, "b")}, store.Skip); err != nil {
		t.Fatal(err)
	}
	before := export(t, s)
	var refused *store.QuotaError
	_, err := s.Import(ctx, []store.Snapshot{older, snapshotOf(4, "c")}, store.Skip)
	if !errors.As(err, &refused) || refused.Used != 2 || refused.Wanted != 2 || !slices.Equal(idsOf(refused.Suggested), []int64{2}) {
		t.Errorf("got %+v, %v", refused, err)
	}
	if text := store.Reason(err); !strings.Contains(text, "#2 of ") {
		t.Errorf("%q names no snapshot", text)
	}
	if after := export(t, s); !slices.Equal(after, before) {
		t.Errorf("was %v, is %v", before, after)
	}
	if got, err := s.Import(ctx, before, store.Skip); err != nil || got.Present != 2 {
		t.Errorf("what is there already: %+v, %v", got, err)
	}
}
