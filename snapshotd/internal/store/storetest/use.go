package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

var useTests = []contract{
	{"ManyMayUseAStoreAtOnce", testConcurrentUse},
	{"AnEndedContextSavesNothing", testEndedContext},
	{"ChangesAreTold", testChanges},
	{"RepairChangesNoSnapshot", testRepair},
}

func testConcurrentUse(t *testing.T, open Open) {
	s := open(t, store.Settings{Limits: store.Limits{Snapshots: 150}})
	var mu sync.Mutex
	var acknowledged []int64
	var refused int
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 20 {
				saved, err := s.Save(context.Background(), store.Draft{Name: fmt.Sprint(worker), Summary: fmt.Sprint("number ", i), Context: "c"})
				var quota *store.QuotaError
				mu.Lock()
				switch {
				case err == nil:
					acknowledged = append(acknowledged, saved.ID)
				case errors.As(err, &quota):
					refused++
				default:
					t.Error(err)
				}
				mu.Unlock()
				if _, err := s.Search(context.Background(), "number", "", 5); err != nil {
					t.Error(err)
				}
				if _, err := s.Page(context.Background(), store.Filter{}, "", 5); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	slices.Sort(acknowledged)
	there := listed(t, s)
	slices.Sort(there)
	if !slices.Equal(acknowledged, there) || len(there) != 150 || refused != 10 {
		t.Errorf("%d acknowledged, %d there, %d refused", len(acknowledged), len(there), refused)
	}
	healthy(t, s)
}

func testEndedContext(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Save(ctx, store.Draft{Summary: "s", Context: "c"}); !errors.Is(err, context.Canceled) {
		t.Errorf("save: %v", err)
	}
	if _, err := s.Search(ctx, "s", "", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("search: %v", err)
	}
	if got := listed(t, s); got != nil {
		t.Errorf("there are %v", got)
	}
}

func testChanges(t *testing.T, open Open) {
	var got []store.Change
	s := open(t, store.Settings{Changed: func(c store.Change) { got = append(got, c) }})
	ctx := context.Background()
	id := save(t, s, store.Draft{Summary: "s", Context: "c"}).ID
	if len(got) != 1 || !slices.Equal(got[0].Added, []int64{id}) || got[0].Removed != nil || got[0].Replaced != nil {
		t.Errorf("saved: %+v", got)
	}
	if err := s.Delete(ctx, id); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !slices.Equal(got[1].Removed, []int64{id}) || got[1].Added != nil {
		t.Errorf("deleted: %+v", got)
	}
	_ = s.Delete(ctx, id)
	if _, err := s.Prune(ctx, store.Retention{MaxCount: 1}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Errorf("nothing changed: %+v", got[2:])
	}
}

func testRepair(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	fill(t, s, c, 5)
	save(t, s, store.Draft{Name: "n", Summary: "東京", Context: "c"})
	before, used := export(t, s), usage(t, s)
	if err := s.Repair(context.Background()); err != nil {
		t.Fatal(err)
	}
	if after := export(t, s); !slices.Equal(after, before) {
		t.Errorf("got %v, was %v", after, before)
	}
	if u := usage(t, s); u.Snapshots != used.Snapshots || u.Bytes != used.Bytes {
		t.Errorf("usage %+v, was %+v", u, used)
	}
	for query, want := range map[string]int{"summary": 5, "東京": 1} {
		if got := search(t, s, query); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	save(t, s, store.Draft{Summary: "after", Context: "c"})
	healthy(t, s)
}
