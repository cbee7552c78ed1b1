package postgres

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func whole(t *testing.T, s store.Store) store.Whole {
	t.Helper()
	w, ok := s.(store.Whole)
	if !ok {
		t.Fatalf("%T", s)
	}
	return w
}

// taken yields snapshots with these ids.
func taken(ids ...int64) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		for _, id := range ids {
			s := store.Snapshot{Draft: store.Draft{Summary: "new", Context: "c"}, Saved: store.Saved{ID: id, CreatedAt: "2025-10-26 12:00:00"}}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func idsIn(t *testing.T, s store.Whole) (ids []int64) {
	t.Helper()
	err := s.All(patient(t), func(all iter.Seq2[store.Snapshot, error]) error {
		for snapshot, err := range all {
			if err != nil {
				return err
			}
			ids = append(ids, snapshot.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestAllIsOfOneMoment(t *testing.T) {
	s := whole(t, acquire(t, open(t, pgtest.Shared(t).Database(t), Options{}), ownerOf("alice")))
	for range checkPage + 5 { // more than a page
		save(t, s, store.Draft{Summary: "s", Context: "c"})
	}
	n := 0
	err := s.All(patient(t), func(all iter.Seq2[store.Snapshot, error]) error {
		for _, err := range all {
			if err != nil {
				return err
			}
			if n++; n == 1 { // while it goes on
				save(t, s, store.Draft{Summary: "later", Context: "c"})
				if err := s.Delete(patient(t), checkPage+2); err != nil {
					t.Error(err)
				}
			}
		}
		return nil
	})
	if err != nil || n != checkPage+5 {
		t.Errorf("%d of %d, %v", n, checkPage+5, err)
	}
	stopped := errors.New("enough")
	if err := s.All(patient(t), func(iter.Seq2[store.Snapshot, error]) error { return stopped }); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}

func TestReplaceIsAllOrNothing(t *testing.T) {
	d := open(t, pgtest.Shared(t).Database(t), Options{})
	s := whole(t, acquire(t, d, ownerOf("alice")))
	bob := acquire(t, d, ownerOf("bob"))
	save(t, bob, store.Draft{Summary: "bob's", Context: "c"})
	for range 3 {
		save(t, s, store.Draft{Summary: "old", Context: "c"})
	}
	ctx := patient(t)
	broken := errors.New("broken")
	if _, err := s.Replace(ctx, taken(1), store.Replacement{Vacant: true}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("not vacant: %v", err)
	}
	failing := func(yield func(store.Snapshot, error) bool) {
		if yield(store.Snapshot{Draft: store.Draft{Summary: "s", Context: "c"}, Saved: store.Saved{ID: 1, CreatedAt: "2025-10-26 12:00:00"}}, nil) {
			yield(store.Snapshot{}, broken)
		}
	}
	if _, err := s.Replace(ctx, failing, store.Replacement{}); !errors.Is(err, broken) {
		t.Errorf("a source that breaks: %v", err)
	}
	if _, err := s.Replace(ctx, taken(1), store.Replacement{Aside: func(iter.Seq2[store.Snapshot, error]) error { return broken }}); !errors.Is(err, broken) {
		t.Errorf("what cannot be put aside: %v", err)
	}
	if got := idsIn(t, s); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("left %v", got)
	}
	var aside, told []int64
	n, err := s.Replace(ctx, taken(2, 9), store.Replacement{
		Aside: func(old iter.Seq2[store.Snapshot, error]) error {
			for snapshot, err := range old {
				if err != nil || snapshot.Summary != "old" {
					t.Errorf("aside %+v, %v", snapshot, err)
				}
				aside = append(aside, snapshot.ID)
			}
			return nil
		},
		Written: func(n int64) { told = append(told, n) },
	})
	if err != nil || n != 2 || !slices.Equal(aside, []int64{1, 2, 3}) || !slices.Equal(told, []int64{1, 2}) {
		t.Errorf("%d, %v, aside %v, told %v", n, err, aside, told)
	}
	if got := idsIn(t, s); !slices.Equal(got, []int64{2, 9}) {
		t.Errorf("holds %v", got)
	}
	if saved := save(t, s, store.Draft{Summary: "next", Context: "c"}); saved.ID != 10 {
		t.Errorf("saved as %d", saved.ID)
	}
	for _, s := range []store.Store{s, bob} {
		if problems, err := s.Check(ctx); err != nil || len(problems) != 0 {
			t.Errorf("%v, %v", problems, err)
		}
	}
	if usage, err := bob.Usage(context.Background()); err != nil || usage.Snapshots != 1 {
		t.Errorf("bob has %+v, %v", usage, err)
	}
}
