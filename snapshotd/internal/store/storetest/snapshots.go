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

var snapshotTests = []contract{
	{"TextsComeBackAsTheyWere", testTexts},
	{"NewestIsLatestTimeThenHighestID", testNewest},
	{"AbsentSnapshotsAreNotFound", testAbsent},
	{"IDsAreNotUsedAgain", testIDs},
}

func testTexts(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	for name, draft := range map[string]store.Draft{
		"all":          {Name: "n", Summary: "s", Context: "c", NextSteps: "x"},
		"least":        {Summary: "s", Context: "c"},
		"quotes":       {Name: `a"b'c`, Summary: `') DROP TABLE snapshots; --`, Context: `"'`},
		"lines":        {Name: "a\nb", Summary: "s\r\ns", Context: "\n\nc\n"},
		"not ASCII":    {Name: "naïve 名前 😀", Summary: "\u2028", Context: "\uFFFD"},
		"large":        {Summary: "s", Context: strings.Repeat("0123456789", 1<<18)},
		"like a blob":  {Name: "x'00'", Summary: "1e3", Context: "5"},
		"like numbers": {Name: "007", Summary: "1.0", Context: "0x10", NextSteps: "-0"},
	} {
		t.Run(name, func(t *testing.T) {
			saved := save(t, s, draft)
			if saved.CreatedAt != noon.Format(time.DateTime) {
				t.Errorf("created at %q", saved.CreatedAt)
			}
			found, err := s.Load(context.Background(), saved.ID)
			if err != nil {
				t.Fatal(err)
			}
			if want := (store.Snapshot{Draft: draft, Saved: saved, ContinuationPrompt: draft.Prompt()}); found != want {
				t.Errorf("got %.300q\nwant %.300q", fmt.Sprint(found), fmt.Sprint(want))
			}
			if draft.Name != "" {
				if named, err := s.LoadNamed(context.Background(), draft.Name); err != nil || named.ID != saved.ID {
					t.Errorf("by name: %d %v", named.ID, err)
				}
			}
		})
	}
	healthy(t, s)
}

func testNewest(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	var ids []int64
	for i, offset := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second, 0} {
		c.now = noon.Add(offset)
		ids = append(ids, save(t, s, store.Draft{Name: []string{"a", "a", "b", "a"}[i], Summary: "s", Context: "c"}).ID)
	}
	ctx := context.Background()
	if found, err := s.LoadNewest(ctx); err != nil || found.ID != ids[2] {
		t.Errorf("newest is %d, %v; want %d", found.ID, err, ids[2])
	}
	if found, err := s.LoadNamed(ctx, "a"); err != nil || found.ID != ids[1] {
		t.Errorf("newest a is %d, %v; want %d", found.ID, err, ids[1])
	}
	order := []int64{ids[2], ids[1], ids[0], ids[3]}
	for limit, want := range map[int64][]int64{-1: order, 100: order, 2: order[:2], 1: order[:1], 0: nil, 1 << 62: order} {
		entries, err := s.List(ctx, limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := idsOf(entries); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
}

func testAbsent(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	ctx := context.Background()
	_, byID := s.Load(ctx, 1)
	_, byName := s.LoadNamed(ctx, "x")
	_, newest := s.LoadNewest(ctx)
	for what, err := range map[string]error{"id": byID, "name": byName, "newest": newest, "delete": s.Delete(ctx, 1)} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	save(t, s, store.Draft{Summary: "s", Context: "c"})
	if _, err := s.LoadNamed(ctx, ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the empty name is no name: %v", err)
	}
}

func testIDs(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	last := save(t, s, store.Draft{Summary: "s", Context: "c"})
	if err := s.Delete(context.Background(), last.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(context.Background(), last.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted again: %v", err)
	}
	if next := save(t, s, store.Draft{Summary: "s", Context: "c"}); next.ID <= last.ID {
		t.Errorf("id %d after %d was deleted", next.ID, last.ID)
	}
	healthy(t, s)
}
