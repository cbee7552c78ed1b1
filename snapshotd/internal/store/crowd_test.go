package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapgate/snapgate/identity"
)

var users = flag.Int("users", 1000, "how many users TestManyUsersFewOpenFiles has")

func ownerOf(name string) Owner {
	return Owner{User: identity.UserKey("https://as", name), Issuer: "https://as", Subject: name}
}

// openDatabases counts the descriptors of this process on files below a folder whose
// name ends so.
func openDatabases(t *testing.T, folder, suffix string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name()))
		if err == nil && strings.HasPrefix(target, folder) && strings.HasSuffix(target, suffix) {
			n++
		}
	}
	return n
}

func TestManyUsersFewOpenFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are counted through /proc, which only Linux has")
	}
	limit := DefaultOpen
	if raceDetector { // for a fifth of the users
		limit /= 5
	}
	base := t.TempDir()
	p := NewPool(Folder{Base: base, Options: Options{Private: true}}, limit, time.Minute)
	defer p.Close()
	var next, most atomic.Int64
	var group sync.WaitGroup
	for range limit + 20 {
		group.Go(func() {
			for n := next.Add(1); n <= int64(*users); n = next.Add(1) {
				s, release, err := p.Acquire(context.Background(), ownerOf(fmt.Sprint(n)))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Save(context.Background(), Draft{Summary: fmt.Sprint("of ", n), Context: "c"}); err != nil {
					t.Error(err)
				}
				if n%50 == 0 {
					open := int64(openDatabases(t, base, fileName))
					for old := most.Load(); open > old && !most.CompareAndSwap(old, open); old = most.Load() {
					}
				}
				release()
			}
		})
	}
	group.Wait()
	if most.Load() > int64(limit) || most.Load() == 0 {
		t.Errorf("%d files were open at once, limit %d", most.Load(), limit)
	}
	listed := 0
	for after := ""; ; {
		some, err := p.Users(context.Background(), after, MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			break
		}
		for _, u := range some {
			if u.Snapshots != 1 || u.Owner != ownerOf(u.Subject) || u.Problem != "" {
				t.Fatalf("listed %+v", u)
			}
		}
		listed, after = listed+len(some), some[len(some)-1].User
	}
	if listed != *users {
		t.Errorf("listed %d users", listed)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if n := openDatabases(t, base, ""); n != 0 {
		t.Errorf("%d files are open after Close", n)
	}
}

// slowSource takes an hour to open, or to close, what users of these names have.
type slowSource struct{ Source }

func (slowSource) Open(_ context.Context, owner Owner) (Store, error) {
	if owner.User == "slow" {
		time.Sleep(time.Hour)
	}
	return fakeStore{close: func() error {
		if owner.User == "slow to close" {
			time.Sleep(time.Hour)
		}
		return nil
	}}, nil
}

func TestSlowFileHarmsNoOtherUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(slowSource{}, 3, 24*time.Hour)
		acquire(t, p, "slow to close")()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, _, err := p.Acquire(ctx, Owner{User: "slow"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("slow: %v", err)
		}
		acquire(t, p, "a")()
		waiting := make(chan struct{})
		go func() { // takes the place of the one that is slow to close
			defer close(waiting)
			acquire(t, p, "b")()
		}()
		synctest.Wait()
		acquire(t, p, "a")()
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("others waited %v", waited)
		}
		<-waiting
		time.Sleep(time.Hour)
		begun = time.Now()
		acquire(t, p, "slow")() // its opening went on
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("slow, in the end, took %v more", waited)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBrokenFileHarmsNoOtherUser(t *testing.T) {
	base := t.TempDir()
	p := NewPool(Folder{Base: base}, 2, time.Minute)
	defer p.Close()
	ctx := context.Background()
	broken, well := ownerOf("broken"), ownerOf("well")
	acquireOwner(t, p, broken)()
	acquireOwner(t, p, well)()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	path := UserFile(base, broken)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damage(t, path, 0, 4096)
	p = NewPool(Folder{Base: base}, 2, time.Minute)
	defer p.Close()
	for range 3 {
		if _, _, err := p.Acquire(ctx, broken); !errors.Is(err, ErrCorrupt) {
			t.Errorf("broken: %v", err)
		}
		acquireOwner(t, p, well)()
	}
	listed, err := p.Users(ctx, "", 10)
	if err != nil || len(listed) != 2 {
		t.Fatalf("listed %v, %v", listed, err)
	}
	for _, u := range listed {
		if (u.Problem == ErrCorrupt.Error()) != (u.User == broken.User) {
			t.Errorf("listed %+v", u)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	acquireOwner(t, p, broken)() // the error is not remembered
}

func acquireOwner(t *testing.T, p *Pool, owner Owner) func() {
	t.Helper()
	_, release, err := p.Acquire(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return release
}
