package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestAttemptsAreBounded(t *testing.T) {
	for _, code := range []string{codeSerialization, codeDeadlock, "57P01"} {
		synctest.Test(t, func(t *testing.T) {
			begun, attempts := time.Now(), 0
			err := untilDone(context.Background(), func(context.Context) error {
				attempts++
				return &pgconn.PgError{Code: code}
			})
			took := time.Since(begun)
			if codeOf(err) != code || took < patience || took > patience+longestPause || attempts < 10 || attempts > 200 {
				t.Errorf("%s: %d attempts in %v, %v", code, attempts, took, err)
			}
		})
	}
}

func TestOtherFailuresAreNotTriedAgain(t *testing.T) {
	for _, failure := range []error{&pgconn.PgError{Code: "23505"}, errors.New("other"), context.Canceled, store.ErrUncertain, store.ErrNotFound} {
		attempts := 0
		err := untilDone(context.Background(), func(context.Context) error {
			attempts++
			return failure
		})
		if attempts != 1 || err != failure {
			t.Errorf("%v: %d attempts, %v", failure, attempts, err)
		}
	}
}

func TestFailuresHaveTheirKind(t *testing.T) {
	for code, want := range map[string]error{
		codeDiskFull: store.ErrFull, codeReadOnly: store.ErrReadOnly, codeSerialization: store.ErrBusy, codeDeadlock: store.ErrBusy,
		codeLocked: store.ErrBusy, codeCanceled: store.ErrBusy, codeConnections: store.ErrBusy,
		"XX001": store.ErrCorrupt, "XX002": store.ErrCorrupt, "57P01": store.ErrUnavailable, "57P03": store.ErrUnavailable, "08006": store.ErrUnavailable,
	} {
		err := wrap("save snapshot", &pgconn.PgError{Code: code, Message: "of the server", Detail: "secret"})
		if !errors.Is(err, want) || store.Reason(err) != want.Error() {
			t.Errorf("%s: %v, told as %q", code, err, store.Reason(err))
		}
	}
	if err := wrap("save snapshot", &pgconn.PgError{Code: "XX000"}); store.Reason(err) != "" {
		t.Errorf("a fault of no kind is told as %q", store.Reason(err))
	}
}

// TestWhatTheServerWantsRepeatedIs has the server refuse the first attempts, as it does
// when transactions meet.
func TestWhatTheServerWantsRepeatedIs(t *testing.T) {
	server := pgtest.Shared(t)
	for _, code := range []string{codeSerialization, codeDeadlock} {
		name := server.NewDatabase(t, "")
		s := acquire(t, open(t, server.URL(pgtest.Role, name), Options{}), ownerOf("alice"))
		// A sequence goes on counting when its transaction is rolled back.
		server.Exec(t, name, fmt.Sprintf(`CREATE SEQUENCE attempts; GRANT ALL ON attempts TO %s;
			CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF nextval('attempts') <= 3 THEN RAISE EXCEPTION 'refused' USING ERRCODE = '%s'; END IF;
				RETURN NEW;
			END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON snapshotd_snapshots FOR EACH ROW EXECUTE FUNCTION refuse()`, pgtest.Role, code))
		if saved := save(t, s, store.Draft{Summary: "s", Context: "c"}); saved.ID != 1 {
			t.Errorf("%s: saved as %d", code, saved.ID)
		}
		var attempts int
		if err := server.Connect(t, pgtest.Superuser, name).QueryRow(patient(t), `SELECT last_value FROM attempts`).Scan(&attempts); err != nil || attempts != 4 {
			t.Errorf("%s: %d attempts, %v", code, attempts, err)
		}
		healthy(t, s)
	}
}

// TestADeadlockIsRepeated makes a real one, of which the store is the victim, since only its
// session looks for deadlocks. It looks once, a second after it began to wait: so a gate holds it up,
// with its user's row locked, until the other waits for that.
func TestADeadlockIsRepeated(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	s := acquire(t, open(t, server.URL(pgtest.Role, name), Options{}), ownerOf("alice"))
	id := save(t, s, store.Draft{Summary: "s", Context: "c"}).ID
	server.Exec(t, name, `CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM pg_advisory_xact_lock(1);
			RETURN NULL;
		END $$;
		CREATE TRIGGER pass BEFORE DELETE ON snapshotd_snapshots FOR EACH STATEMENT EXECUTE FUNCTION pass()`)
	ctx := patient(t)
	gate, other := server.Connect(t, pgtest.Superuser, name), server.Connect(t, pgtest.Superuser, name)
	if _, err := gate.Exec(ctx, `SELECT pg_advisory_lock(1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(ctx, `SET deadlock_timeout = '1h'; BEGIN; SELECT * FROM snapshotd_snapshots FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	deleted, updated := make(chan error), make(chan error)
	go func() { deleted <- s.Delete(ctx, id) }()
	waitForLocks(t, server, name, 1)
	go func() {
		_, err := other.Exec(ctx, `UPDATE snapshotd_users SET issuer = issuer; COMMIT`)
		updated <- err
	}()
	waitForLocks(t, server, name, 2)
	if _, err := gate.Exec(ctx, `SELECT pg_advisory_unlock(1)`); err != nil {
		t.Fatal(err)
	}
	if err := <-updated; err != nil {
		t.Errorf("the other became the victim: %v", err)
	}
	if err := <-deleted; err != nil {
		t.Errorf("delete: %v", err)
	}
	var deadlocks int
	for deadlocks == 0 && ctx.Err() == nil { // statistics come late
		watcher := server.Connect(t, pgtest.Superuser, "postgres")
		if err := watcher.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = $1`, name).Scan(&deadlocks); err != nil {
			t.Fatal(err)
		}
		_ = watcher.Close(ctx)
	}
	if deadlocks == 0 {
		t.Error("there was no deadlock")
	}
}
