package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

// patient is a context for what must happen, however slow the machine is.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func save(t testing.TB, s store.Store, draft store.Draft) store.Saved {
	t.Helper()
	saved, err := s.Save(patient(t), draft)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func healthy(t testing.TB, s store.Store) {
	t.Helper()
	problems, err := s.Check(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("check: %s", p.What)
	}
}

func TestWritersOfTwoProcessesShareIDsAndAQuotaExactly(t *testing.T) {
	const quota, workers, each = 60, 6, 15
	address := pgtest.Shared(t).Database(t)
	settings := Options{Settings: store.Settings{Limits: store.Limits{Snapshots: quota, Bytes: 100 * quota}}}
	stores := []store.Store{ // a pool each, as in two processes
		acquire(t, open(t, address, settings), ownerOf("alice")),
		acquire(t, open(t, address, settings), ownerOf("alice")),
	}
	var mu sync.Mutex
	var ids []int64
	refused := 0
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				saved, err := stores[worker%2].Save(patient(t), store.Draft{Name: fmt.Sprint(worker), Summary: fmt.Sprint(i), Context: "c"})
				var quota *store.QuotaError
				mu.Lock()
				switch {
				case err == nil:
					ids = append(ids, saved.ID)
				case errors.As(err, &quota):
					refused++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(ids)
	for i, id := range ids {
		if id != int64(i+1) {
			t.Fatalf("ids %v", ids)
		}
	}
	if len(ids) != quota || refused != workers*each-quota {
		t.Errorf("%d saved, %d refused", len(ids), refused)
	}
	healthy(t, stores[0])
}

func TestIDsOfEachUserBeginWithOne(t *testing.T) {
	d := open(t, pgtest.Shared(t).Database(t), Options{})
	for _, name := range []string{"alice", "bob"} {
		s := acquire(t, d, ownerOf(name))
		for want := range int64(3) {
			if saved := save(t, s, store.Draft{Summary: "s", Context: "c"}); saved.ID != want+1 {
				t.Errorf("%s: %d, want %d", name, saved.ID, want+1)
			}
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	const limit = 3
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	d := open(t, server.URL(pgtest.Role, name)+fmt.Sprint("&pool_max_conns=", limit), Options{})
	done := make(chan struct{})
	var group sync.WaitGroup
	for worker := range 30 {
		group.Go(func() {
			s := acquire(t, d, ownerOf(fmt.Sprint(worker)))
			for range 5 {
				if _, err := s.Save(patient(t), store.Draft{Summary: "s", Context: "c"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() {
		group.Wait()
		close(done)
	}()
	watcher := server.Connect(t, pgtest.Superuser, "postgres")
	most := 0
	for working := true; working; {
		select {
		case <-done:
			working = false
		case <-time.After(time.Millisecond):
		}
		var n int
		err := watcher.QueryRow(patient(t), `SELECT count(*) FROM pg_stat_activity WHERE datname = $1`, name).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	if most > limit || most == 0 {
		t.Errorf("%d connections at once, limit %d", most, limit)
	}
}

func TestSlowCallsOfOneUserLeaveConnectionsToOthers(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	d := open(t, server.URL(pgtest.Role, name)+"&pool_max_conns=4", Options{})
	slow, quick := acquire(t, d, ownerOf("slow")), acquire(t, d, ownerOf("quick"))
	blocker := server.Connect(t, pgtest.Superuser, name)
	ctx := patient(t)
	tx, err := blocker.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `SELECT * FROM snapshotd_users WHERE owner = $1 FOR UPDATE`, ownerOf("slow").User); err != nil {
		t.Fatal(err)
	}
	const calls = 20
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			if _, err := slow.Save(ctx, store.Draft{Summary: "s", Context: "c"}); err != nil {
				t.Error(err)
			}
		})
	}
	waitForLock(t, server, name)
	for range 20 {
		save(t, quick, store.Draft{Summary: "s", Context: "c"})
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if u, err := slow.Usage(ctx); err != nil || u.Snapshots != calls {
		t.Errorf("the slow user has %+v, %v", u, err)
	}
}

// waitForLock returns when a session of a database waits for a lock.
func waitForLock(t *testing.T, server *pgtest.Server, database string) {
	t.Helper()
	waitForLocks(t, server, database, 1)
}

// waitForLocks returns when so many do.
func waitForLocks(t *testing.T, server *pgtest.Server, database string, sessions int) {
	t.Helper()
	watcher := server.Connect(t, pgtest.Superuser, "postgres")
	ctx := patient(t)
	for waiting := 0; waiting < sessions; {
		err := watcher.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`, database).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCallsEndWithTheirContextAndTheDatabase(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	d := open(t, server.URL(pgtest.Role, name), Options{})
	s := acquire(t, d, ownerOf("alice"))
	tx, err := server.Connect(t, pgtest.Superuser, name).Begin(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(patient(t), `LOCK TABLE snapshotd_users`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	attempt := func() {
		_, err := s.Save(ctx, store.Draft{Summary: "s", Context: "c"})
		ended <- err
	}
	go attempt()
	waitForLock(t, server, name)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx = context.Background()
	go attempt()
	waitForLock(t, server, name)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := s.LoadNewest(patient(t)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
