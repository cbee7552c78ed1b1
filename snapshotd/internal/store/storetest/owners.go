package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// likeSubjects differ in what file systems, databases and people take for the same, or
// lead elsewhere, or are longer than a name may be.
var likeSubjects = []string{
	"alice", "Alice", "ALICE", "alice ", " alice", "\uff41\uff4c\uff49\uff43\uff45", "\u202ealice", "a\u200blice",
	"caf\u00e9", "cafe\u0301", "stra\u00dfe", "strasse", "\u0131", "i", "\u212a", "k",
	"a/b", `a\b`, "..", "../alice", "/etc/passwd", "C:", "CON", "alice.", "alice\n", "alice\t", "'; DROP TABLE snapshots; --", "%", "_",
	strings.Repeat("x", 256), strings.Repeat("x", 257), strings.Repeat("x", 100_000),
}

func testLikeOwners(t *testing.T, p store.Provider) {
	ctx := context.Background()
	const issuer = "https://as"
	of := func(subject string) store.Owner {
		return store.Owner{User: identity.UserKey(issuer, subject), Issuer: issuer, Subject: subject}
	}
	for i, subject := range likeSubjects {
		with(t, p, of(subject), func(s store.Store) { save(t, s, store.Draft{Summary: fmt.Sprint(i), Context: "c"}) })
	}
	for i, subject := range likeSubjects {
		with(t, p, of(subject), func(s store.Store) {
			all, err := s.List(ctx, -1)
			if err != nil || len(all) != 1 || all[0].Summary != fmt.Sprint(i) {
				t.Errorf("%.20q sees %+v, %v", subject, all, err)
			}
		})
	}
	users, err := p.Users(ctx, "", store.MaxPage)
	if err != nil || len(users) != len(likeSubjects) {
		t.Errorf("%d users, %v", len(users), err)
	}
	for _, u := range users {
		if u.User != identity.UserKey(u.Issuer, u.Subject) {
			t.Errorf("%s is listed as %.20q", u.User, u.Subject)
		}
	}
	// The same key, since it is made of both with a line feed between them.
	one, other := of("a\nb"), store.Owner{User: identity.UserKey(issuer, "a\nb"), Issuer: issuer + "\na", Subject: "b"}
	with(t, p, one, func(s store.Store) { save(t, s, store.Draft{Summary: "s", Context: "c"}) })
	if _, _, err := p.Acquire(ctx, other); other.User != identity.UserKey(other.Issuer, other.Subject) || !errors.Is(err, store.ErrOwner) {
		t.Errorf("another of the same key: %v", err)
	}
	// A database may be unable to hold such a name; it says so then, and takes nobody else for it.
	odd := of("alice\x00bob")
	if s, release, err := p.Acquire(ctx, odd); err == nil {
		if all := listed(t, s); len(all) != 0 {
			t.Errorf("one with a NUL sees %+v", all)
		}
		release()
	} else if !errors.Is(err, store.ErrInvalid) {
		t.Errorf("one with a NUL: %v", err)
	}
}
