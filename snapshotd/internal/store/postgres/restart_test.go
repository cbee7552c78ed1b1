package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

// TestARestartOfTheServerIsHardlyNoticed stops the server, in both ways, under load:
// calls wait for it, and what was acknowledged is there, once. A machine that is busy may take longer
// for a restart than calls wait, and then it is tried again.
func TestARestartOfTheServerIsHardlyNoticed(t *testing.T) {
	for attempt := 1; ; attempt++ {
		away, failures := restarts(t)
		if len(failures) == 0 || t.Failed() {
			return
		}
		if away < patience || attempt == 3 {
			t.Fatalf("the server was away for %v, and %v", away, failures)
		}
	}
}

// restarts returns how long the server was away, at most, and which calls failed.
func restarts(t *testing.T) (away time.Duration, failures []error) {
	t.Helper()
	server := pgtest.Start(t)
	d := open(t, server.Database(t), Options{})
	const users = 4
	var saves atomic.Int64
	var mu sync.Mutex
	acknowledged := make([][]string, users)
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for user := range users {
		s := acquire(t, d, ownerOf(fmt.Sprint(user)))
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				summary := fmt.Sprint("number ", i)
				if _, err := s.Save(context.Background(), store.Draft{Summary: summary, Context: "c"}); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failures = append(failures, fmt.Errorf("user %d: %w", user, err))
					stop()
					return
				}
				acknowledged[user] = append(acknowledged[user], summary)
				saves.Add(1)
			}
		})
	}
	progress := func() {
		for wanted, begun := saves.Load()+40, time.Now(); saves.Load() < wanted && ctx.Err() == nil; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 3*time.Minute {
				t.Fatalf("stuck after %d saves", saves.Load())
			}
		}
	}
	progress()
	for _, end := range []func(testing.TB){server.Stop, server.Crash} {
		begun := time.Now()
		end(t)
		server.Run(t)
		away = max(away, time.Since(begun))
		progress()
	}
	stop()
	group.Wait()
	if len(failures) > 0 {
		return away, failures
	}
	for user := range users {
		s := acquire(t, d, ownerOf(fmt.Sprint(user)))
		var there []string
		for snapshot, err := range store.Each(patient(t), s, 0) {
			if err != nil {
				t.Fatal(err)
			}
			there = append(there, snapshot.Summary)
		}
		if !slices.Equal(there, acknowledged[user]) {
			t.Errorf("user %d has\n%v\nand was told of\n%v", user, there, acknowledged[user])
		}
		healthy(t, s)
	}
	return away, nil
}

func TestAServerThatIsAwayIsToldAsSuch(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Database(t)
	s := acquire(t, open(t, address, Options{}), ownerOf("alice"))
	server.Stop(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.Save(ctx, store.Draft{Summary: "s", Context: "c"}); err == nil || ctx.Err() == nil {
		t.Errorf("gave up before its context: %v", err)
	}
	_, err := Open(patient(t), address, Options{})
	if err == nil || store.Reason(err) != store.ErrUnavailable.Error() {
		t.Fatalf("open: %v", err)
	}
	if text := err.Error(); strings.Contains(text, "secret") || !strings.Contains(text, "127.0.0.1") {
		t.Errorf("open: %v", err)
	}
	server.Run(t)
	save(t, s, store.Draft{Summary: "s", Context: "c"})
}
