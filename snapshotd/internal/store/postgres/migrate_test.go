package postgres

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestANewerSchemaIsRefused(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	logged(t, server.URL(pgtest.Role, name))
	server.Exec(t, name, `UPDATE snapshotd_schema SET version = 77`)
	_, err := Open(patient(t), server.URL(pgtest.Role, name), Options{})
	if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "77") {
		t.Errorf("got %v", err)
	}
}

// TestABrokenOffMigrationIsResumed begins where a server that changes schemas outside
// of transactions may have stopped.
func TestABrokenOffMigrationIsResumed(t *testing.T) {
	server := pgtest.Shared(t)
	all, err := store.Migrations(migrations)
	if err != nil {
		t.Fatal(err)
	}
	statements := strings.SplitAfter(all[0], ";\n")
	for done := range statements {
		name := server.NewDatabase(t, "")
		server.Exec(t, name, `SET ROLE `+pgtest.Role+`; `+makeSchemaTable+`; `+strings.Join(statements[:done], ""))
		d := open(t, server.URL(pgtest.Role, name), Options{})
		s := acquire(t, d, ownerOf("alice"))
		save(t, s, store.Draft{Summary: "one", Context: "word"})
		healthy(t, s)
	}
}

func TestManyMayOpenANewDatabaseAtOnce(t *testing.T) {
	address := pgtest.Shared(t).Database(t) + "&pool_max_conns=2"
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			d, err := Open(patient(t), address, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestAnEncodingThatLosesTextsIsRefused(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
	if _, err := Open(patient(t), server.URL(pgtest.Role, name), Options{}); err == nil || !strings.Contains(err.Error(), "UTF8") {
		t.Errorf("got %v", err)
	}
}
