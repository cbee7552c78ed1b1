package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestSavedSnapshotIsLoadedAsItWas(t *testing.T) {
	tests := map[string]Draft{
		"all":          {Name: "n", Summary: "s", Context: "c", NextSteps: "x"},
		"least":        {Summary: "s", Context: "c"},
		"no context":   {Summary: "s"},
		"quotes":       {Name: `'";--`, Summary: `') DROP TABLE snapshots; --`, Context: `"'`},
		"NUL":          {Name: "a\x00b", Summary: "s\x00", Context: "\x00c", NextSteps: "n\x00n"},
		"lines":        {Name: "a\nb", Summary: "s\r\ns", Context: "\n\nc\n"},
		"not ASCII":    {Name: "naïve 名前 😀", Summary: "\u2028", Context: "\uFFFD"},
		"large":        {Summary: "s", Context: strings.Repeat("0123456789", 1<<20)},
		"like a blob":  {Name: "x'00'", Summary: "1e3", Context: "5"},
		"like numbers": {Name: "007", Summary: "1.0", Context: "0x10", NextSteps: "-0"},
	}
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{Settings: Settings{Now: clock("2025-10-26 12:00:00")}})
	for name, draft := range tests {
		t.Run(name, func(t *testing.T) {
			saved := save(t, s, draft)
			if saved.CreatedAt != "2025-10-26 12:00:00" {
				t.Errorf("created at %q", saved.CreatedAt)
			}
			found, err := s.Load(context.Background(), saved.ID)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Snapshot{Draft: draft, Saved: saved, ContinuationPrompt: draft.Prompt()}); found != want {
				t.Errorf("got %.300q\nwant %.300q", fmt.Sprint(found), fmt.Sprint(want))
			}
			if draft.Name != "" {
				if named, err := s.LoadNamed(context.Background(), draft.Name); err != nil || named.ID != saved.ID {
					t.Errorf("by name: %d %v", named.ID, err)
				}
			}
		})
	}
}

func TestPrompt(t *testing.T) {
	tests := []struct {
		draft Draft
		want  string
	}{
		{Draft{Summary: "s", Context: "c"}, "Resuming: s\n\nContext:\nc"},
		{Draft{Summary: "s", Context: "c\nd", NextSteps: "n"}, "Resuming: s\n\nContext:\nc\nd\n\nNext:\nn"},
		{Draft{Summary: "s"}, "Resuming: s\n\nContext:\n"},
	}
	for _, test := range tests {
		if got := test.draft.Prompt(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestNewestIsLatestTimeThenHighestID(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{Settings: Settings{Now: clock(
		"2025-10-26 12:00:01", "2025-10-26 12:00:02", "2025-10-26 12:00:02", "2025-10-26 12:00:00")}})
	for i := range 4 {
		save(t, s, Draft{Name: []string{"a", "a", "b", "a"}[i], Summary: fmt.Sprint(i + 1), Context: "c"})
	}
	ctx := context.Background()
	if found, err := s.LoadNewest(ctx); err != nil || found.ID != 3 {
		t.Errorf("newest is %d, %v", found.ID, err)
	}
	if found, err := s.LoadNamed(ctx, "a"); err != nil || found.ID != 2 {
		t.Errorf("newest a is %d, %v", found.ID, err)
	}
	for limit, want := range map[int64]string{-1: "3 2 1 4", 100: "3 2 1 4", 2: "3 2", 1: "3", 1 << 62: "3 2 1 4"} {
		entries, err := s.List(ctx, limit)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range entries {
			ids = append(ids, fmt.Sprint(e.ID))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
}

func TestAbsentSnapshotsAreNotFound(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	ctx := context.Background()
	_, byID := s.Load(ctx, 1)
	_, byName := s.LoadNamed(ctx, "x")
	_, newest := s.LoadNewest(ctx)
	for what, err := range map[string]error{"id": byID, "name": byName, "newest": newest, "delete": s.Delete(ctx, 1)} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if entries, err := s.List(ctx, 100); err != nil || len(entries) != 0 {
		t.Errorf("list: %v %v", entries, err)
	}
}

func TestIDsAreNotUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	last := save(t, s, Draft{Summary: "s", Context: "c"})
	if err := s.Delete(context.Background(), last.ID); err != nil {
		t.Fatal(err)
	}
	if next := save(t, s, Draft{Summary: "s", Context: "c"}); next.ID != last.ID+1 {
		t.Errorf("id %d after %d was deleted", next.ID, last.ID)
	}
}

func TestPragmasHold(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
		var got string
		if err := s.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v", pragma, got, err)
		}
	}
}

func TestReasonTellsNoPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	exec(t, path, "CREATE TABLE snapshots (id INTEGER)")
	_, err := Open(context.Background(), path, Options{})
	if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
	if got := Reason(err); got == "" || strings.Contains(got, path) {
		t.Errorf("reason %q", got)
	}
}
