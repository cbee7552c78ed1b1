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

// OpenProvider makes a provider of no users yet, which has room for at least four at
// once.
type OpenProvider func(t *testing.T, settings store.Settings) store.Provider

// RunProvider holds providers of many users to the contract of [store.Provider].
func RunProvider(t *testing.T, open OpenProvider) {
	for name, test := range map[string]func(t *testing.T, p store.Provider){
		"UsersSeeOnlyTheirOwn":          testIsolation,
		"AnotherOwnerOfAKeyIsRefused":   testOwners,
		"OwnersOfLikeNamesAreApart":     testLikeOwners,
		"UsersAreListedInOrder":         testUsers,
		"OperatorsReachAUserByTheirKey": testAcquireUser,
		"ManyUsersAtOnce":               testManyUsers,
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, store.Settings{})
			defer func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				if _, _, err := p.Acquire(context.Background(), owner("late")); !errors.Is(err, store.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
			}()
			test(t, p)
		})
	}
	t.Run("ChangesNameTheirUser", func(t *testing.T) { testUserOfChange(t, open) })
}

func owner(name string) store.Owner {
	return store.Owner{User: "key-of-" + name, Issuer: "https://as", Subject: name}
}

// with acquires the owner's store for the length of a function.
func with(t *testing.T, p store.Provider, o store.Owner, use func(s store.Store)) {
	t.Helper()
	s, release, err := p.Acquire(context.Background(), o)
	if err != nil {
		t.Errorf("acquire %s: %v", o.User, err)
		return
	}
	defer release()
	use(s)
}

func testIsolation(t *testing.T, p store.Provider) {
	var id int64
	with(t, p, owner("alice"), func(s store.Store) {
		id = save(t, s, store.Draft{Name: "n", Summary: "of alice 東京", Context: "c"}).ID
	})
	with(t, p, owner("bob"), func(s store.Store) {
		ctx := context.Background()
		_, byID := s.Load(ctx, id)
		_, byName := s.LoadNamed(ctx, "n")
		_, newest := s.LoadNewest(ctx)
		for what, err := range map[string]error{"id": byID, "name": byName, "newest": newest, "delete": s.Delete(ctx, id)} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		names, err := s.Names(ctx, "", 10)
		page, errPage := s.Page(ctx, store.Filter{}, "", 10)
		if len(names)+len(page.Entries)+len(listed(t, s))+len(search(t, s, "alice"))+len(search(t, s, "東京"))+len(export(t, s)) != 0 || err != nil || errPage != nil {
			t.Errorf("bob sees %v %v, %v %v", names, page, err, errPage)
		}
		if u := usage(t, s); u.Snapshots != 0 || u.Bytes != 0 {
			t.Errorf("bob uses %+v", u)
		}
		if n, err := s.Prune(ctx, store.Retention{MaxCount: 1, MaxAge: 1, Named: true}); n != 0 || err != nil {
			t.Errorf("bob pruned %d, %v", n, err)
		}
	})
	with(t, p, owner("alice"), func(s store.Store) {
		if got := listed(t, s); !slices.Equal(got, []int64{id}) {
			t.Errorf("alice has %v", got)
		}
	})
}

func testOwners(t *testing.T, p store.Provider) {
	alice := owner("alice")
	with(t, p, alice, func(s store.Store) { save(t, s, store.Draft{Summary: "s", Context: "c"}) })
	for _, other := range []store.Owner{
		{User: alice.User, Issuer: alice.Issuer, Subject: "bob"},
		{User: alice.User, Issuer: "https://other", Subject: alice.Subject},
	} {
		if _, _, err := p.Acquire(context.Background(), other); !errors.Is(err, store.ErrOwner) {
			t.Errorf("%+v: %v", other, err)
		}
	}
}

func testUsers(t *testing.T, p store.Provider) {
	ctx := context.Background()
	if users, err := p.Users(ctx, "", 10); err != nil || len(users) != 0 {
		t.Errorf("at first: %v, %v", users, err)
	}
	names := []string{"e", "a", "d", "b", "c"}
	for i, name := range names {
		with(t, p, owner(name), func(s store.Store) {
			for range i {
				save(t, s, store.Draft{Summary: "s", Context: "c"})
			}
		})
	}
	var got []string
	for after := ""; ; {
		users, err := p.Users(ctx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(users) == 0 {
			break
		}
		for _, u := range users {
			got = append(got, u.Subject)
			n := int64(slices.Index(names, u.Subject))
			if u.Owner != owner(u.Subject) || u.Snapshots != n || u.Bytes != 2*n || (u.LastWrite != "") != (n > 0) || u.Problem != "" {
				t.Errorf("%+v", u)
			}
		}
		after = users[len(users)-1].User
	}
	if !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("listed %v", got)
	}
	for _, limit := range []int{0, store.MaxPage + 1} {
		if _, err := p.Users(ctx, "", limit); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func testAcquireUser(t *testing.T, p store.Provider) {
	ctx := context.Background()
	for _, key := range []string{"", "absent", "..", ".", "a/b", `a\b`, "/etc"} {
		if _, _, err := p.AcquireUser(ctx, key); !errors.Is(err, store.ErrNoUser) {
			t.Errorf("%q: %v", key, err)
		}
	}
	if users, err := p.Users(ctx, "", 10); err != nil || len(users) != 0 {
		t.Errorf("asking made users: %v, %v", users, err)
	}
	with(t, p, owner("alice"), func(s store.Store) { save(t, s, store.Draft{Summary: "of alice", Context: "c"}) })
	s, release, err := p.AcquireUser(ctx, owner("alice").User)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if found, err := s.LoadNewest(ctx); err != nil || found.Summary != "of alice" {
		t.Errorf("%+v, %v", found, err)
	}
}

func testManyUsers(t *testing.T, p store.Provider) {
	const users, saves = 16, 5
	var group sync.WaitGroup
	for i := range users {
		group.Go(func() {
			for range saves {
				with(t, p, owner(fmt.Sprint(i)), func(s store.Store) {
					if _, err := s.Save(context.Background(), store.Draft{Summary: fmt.Sprint("of ", i), Context: "c"}); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	group.Wait()
	for i := range users {
		with(t, p, owner(fmt.Sprint(i)), func(s store.Store) {
			all := export(t, s)
			for _, snapshot := range all {
				if snapshot.Summary != fmt.Sprint("of ", i) {
					t.Errorf("user %d has %q", i, snapshot.Summary)
				}
			}
			if len(all) != saves {
				t.Errorf("user %d has %d snapshots", i, len(all))
			}
		})
	}
}

func testUserOfChange(t *testing.T, open OpenProvider) {
	var users []string
	p := open(t, store.Settings{Changed: func(c store.Change) { users = append(users, c.User) }})
	defer p.Close()
	for _, name := range []string{"alice", "bob"} {
		with(t, p, owner(name), func(s store.Store) { save(t, s, store.Draft{Summary: "s", Context: "c"}) })
	}
	if want := []string{owner("alice").User, owner("bob").User}; !slices.Equal(users, want) {
		t.Errorf("told of %v, want %v", users, want)
	}
}
