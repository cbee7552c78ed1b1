package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func init() { children["migrate"] = migrateAndExit }

func migrateAndExit(path string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	return s.Close()
}

func TestKilledMigrationLosesNothingAndLeavesOneCopy(t *testing.T) {
	var path string
	rows := 1000
	if raceDetector { // under which it takes as long with fewer
		rows = 250
	}
	for killed := 0; killed == 0; { // a migration that is over too soon is made longer
		rows *= 2
		path = fixture(t, firstSchema+fmt.Sprintf(`
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO snapshots (summary, context) SELECT 'number ' || i, '東京 ' || hex(randomblob(400)) FROM n;`, rows))
		killed = killMigrations(t, path)
	}
	text := query[string](t, path, `SELECT group_concat(context) FROM snapshots`)
	s := open(t, path, Options{})
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
	if u, err := s.Usage(context.Background()); err != nil || u.Snapshots != int64(rows) {
		t.Errorf("usage %+v, %v", u, err)
	}
	if found, err := s.Search(context.Background(), "東京", "", 10); err != nil || len(found.Matches) != 10 {
		t.Errorf("search: %v, %v", found, err)
	}
	for _, file := range []string{path, path + ".v1.bak"} {
		if query[string](t, file, `SELECT group_concat(context) FROM snapshots`) != text {
			t.Errorf("%s does not hold what was there", filepath.Base(file))
		}
	}
	left := slices.DeleteFunc(backups(t, path), func(name string) bool {
		return strings.HasSuffix(name, ".bak-wal") || strings.HasSuffix(name, ".bak-shm")
	})
	if !slices.Equal(left, []string{"snapshots.db.v1.bak"}) {
		t.Errorf("copies: %v", left)
	}
}

// killMigrations kills migrations of the file until one is done in time, and returns how many.
func killMigrations(t *testing.T, path string) (killed int) {
	t.Helper()
	// Each has a little more time, so that some are killed in the copy and some in the change.
	for wait := time.Millisecond; killed < 12; wait = wait * 3 / 2 {
		command := child("migrate", path)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		awaitPartial(path)
		time.Sleep(wait)
		_ = command.Process.Kill() // it may have ended
		if err := command.Wait(); err == nil {
			break
		}
		killed++
	}
	return killed
}

// awaitPartial waits until the copy of a file has begun, or is there.
func awaitPartial(path string) {
	for range 10_000 {
		for _, name := range []string{path + ".bak.partial", path + ".v1.bak"} {
			if _, err := os.Stat(name); err == nil {
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
}
