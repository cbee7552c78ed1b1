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

var limitTests = []contract{
	{"UsageIsWhatIsThere", testUsage},
	{"AQuotaNamesLimitUseAndWhatToDelete", testQuotas},
	{"ARefusedSaveChangesNothing", testRefusedSave},
	{"RetentionByCount", testRetentionByCount},
	{"RetentionByAge", testRetentionByAge},
	{"RetentionMakesRoomBeforeTheQuotaIsChecked", testRetentionMakesRoom},
	{"PruneDeletesWhatIsNotKept", testPrune},
}

func testUsage(t *testing.T, open Open) {
	limits := store.Limits{Snapshots: 10, Bytes: 1000, SnapshotBytes: 100}
	s := open(t, store.Settings{Limits: limits})
	if u := usage(t, s); u != (store.Usage{Limits: limits}) {
		t.Errorf("empty: %+v", u)
	}
	first := store.Draft{Name: "näme", Summary: "sum", Context: "東京", NextSteps: "next"}
	id := save(t, s, first).ID
	save(t, s, store.Draft{Summary: "s", Context: "c"})
	u := usage(t, s)
	if u.Snapshots != 2 || u.Bytes != 5+3+6+4+2 || u.Bytes != first.Bytes()+2 || u.LastWrite == "" {
		t.Errorf("two: %+v", u)
	}
	if err := s.Delete(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if u := usage(t, s); u.Snapshots != 1 || u.Bytes != 2 {
		t.Errorf("one: %+v", u)
	}
}

func testQuotas(t *testing.T, open Open) {
	for name, test := range map[string]struct {
		limits store.Limits
		draft  store.Draft
		want   store.QuotaError // but for what it suggests
	}{
		"snapshots": {store.Limits{Snapshots: 4}, store.Draft{Summary: "s", Context: "c"},
			store.QuotaError{Quota: store.QuotaSnapshots, Limit: 4, Used: 4, Wanted: 1}},
		"bytes": {store.Limits{Bytes: 80}, store.Draft{Summary: "s", Context: strings.Repeat("c", 20)},
			store.QuotaError{Quota: store.QuotaBytes, Limit: 80, Used: 66, Wanted: 21}},
		"bytes of one": {store.Limits{SnapshotBytes: 20}, store.Draft{Summary: "s", Context: strings.Repeat("c", 20)},
			store.QuotaError{Quota: store.QuotaSnapshotBytes, Limit: 20, Wanted: 21}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := open(t, store.Settings{Limits: test.limits, Now: c.Now})
			named := save(t, s, store.Draft{Name: "n", Summary: "summary x", Context: "contexts"}).ID // 18 bytes
			c.advance(time.Second)
			ids := fill(t, s, c, 3) // 16 bytes each
			_, err := s.Save(context.Background(), test.draft)
			var refused *store.QuotaError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			suggested := idsOf(refused.Suggested)
			got := *refused
			got.Suggested = nil
			if fmt.Sprint(got) != fmt.Sprint(test.want) || got.Quota != test.want.Quota {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if test.want.Quota != store.QuotaSnapshotBytes && (len(suggested) == 0 || suggested[0] != ids[0] || slices.Contains(suggested, named)) {
				t.Errorf("suggests %v: the oldest without a name is %d", suggested, ids[0])
			}
			text := store.Reason(err)
			for _, part := range []string{"quota", fmt.Sprint(got.Limit), fmt.Sprint(got.Wanted), strings.Fields(string(got.Quota))[0]} {
				if !strings.Contains(text, part) {
					t.Errorf("%q does not name %s", text, part)
				}
			}
		})
	}
}

func testRefusedSave(t *testing.T, open Open) {
	var changes int
	c := newClock()
	s := open(t, store.Settings{Now: c.Now, Changed: func(store.Change) { changes++ },
		Limits: store.Limits{Snapshots: 3}, Retention: store.Retention{MaxAge: time.Hour}})
	for range 3 {
		save(t, s, store.Draft{Name: "kept", Summary: "s", Context: "c"})
	}
	before, list := usage(t, s), listed(t, s)
	if _, err := s.Save(context.Background(), store.Draft{Summary: "over", Context: "c"}); err == nil {
		t.Fatal("saved")
	}
	if after := usage(t, s); after != before || changes != 3 {
		t.Errorf("usage %+v, was %+v; %d changes told", after, before, changes)
	}
	if now := listed(t, s); !slices.Equal(now, list) {
		t.Errorf("list %v, was %v", now, list)
	}
	if got := search(t, s, "over"); got != nil {
		t.Errorf("found %v", got)
	}
	healthy(t, s)
}

func testRetentionByCount(t *testing.T, open Open) {
	for _, named := range []bool{false, true} {
		c := newClock()
		s := open(t, store.Settings{Now: c.Now, Retention: store.Retention{MaxCount: 3, Named: named}})
		first := save(t, s, store.Draft{Name: "keep", Summary: "s", Context: "c"}).ID
		c.advance(time.Second)
		ids := fill(t, s, c, 6)
		want := []int64{ids[5], ids[4], ids[3]}
		if !named {
			want = append(want, first)
		}
		if got := listed(t, s); !slices.Equal(got, want) {
			t.Errorf("named %v: %v, want %v", named, got, want)
		}
		healthy(t, s)
	}
}

func testRetentionByAge(t *testing.T, open Open) {
	for _, named := range []bool{false, true} {
		c := newClock()
		var removed []int64
		s := open(t, store.Settings{Now: c.Now, Retention: store.Retention{MaxAge: time.Hour, Named: named},
			Changed: func(change store.Change) { removed = append(removed, change.Removed...) }})
		first := save(t, s, store.Draft{Name: "keep", Summary: "s", Context: "c"}).ID
		second := save(t, s, store.Draft{Summary: "s", Context: "c"}).ID
		c.advance(time.Hour)
		third := save(t, s, store.Draft{Summary: "not older than an hour yet", Context: "c"}).ID
		if got := listed(t, s); len(got) != 3 {
			t.Errorf("after an hour: %v", got)
		}
		c.advance(time.Second)
		fourth := save(t, s, store.Draft{Summary: "s", Context: "c"}).ID
		want, gone := []int64{fourth, third}, []int64{first, second}
		if !named {
			want, gone = append(want, first), gone[1:]
		}
		if got := listed(t, s); !slices.Equal(got, want) || !slices.Equal(removed, gone) {
			t.Errorf("named %v: %v, want %v; removed %v, want %v", named, got, want, removed, gone)
		}
	}
}

func testRetentionMakesRoom(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now, Retention: store.Retention{MaxCount: 2}, Limits: store.Limits{Snapshots: 2, Bytes: 50}})
	ids := fill(t, s, c, 5)
	if got := listed(t, s); !slices.Equal(got, []int64{ids[4], ids[3]}) {
		t.Errorf("got %v", got)
	}
}

func testPrune(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	named := save(t, s, store.Draft{Name: "n", Summary: "s", Context: "c"}).ID
	c.advance(time.Second)
	ids := fill(t, s, c, 250)
	prune := func(keep store.Retention, want int64) {
		t.Helper()
		got, err := s.Prune(context.Background(), keep)
		if err != nil || got != want {
			t.Errorf("%+v: pruned %d, %v; want %d", keep, got, err, want)
		}
	}
	prune(store.Retention{}, 0)
	prune(store.Retention{MaxCount: 250}, 0)
	prune(store.Retention{MaxCount: 40, MaxAge: time.Hour}, 210)
	prune(store.Retention{MaxCount: 40}, 0)
	prune(store.Retention{MaxAge: 10500 * time.Millisecond}, 30)
	prune(store.Retention{MaxCount: 10, Named: true}, 1) // the named one is the oldest
	want := slices.Clone(ids[240:])
	slices.Reverse(want)
	if got := listed(t, s); !slices.Equal(got, want) || slices.Contains(got, named) {
		t.Errorf("left %v, want %v", got, want)
	}
	healthy(t, s)
}
