package postgres

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
	"github.com/snapgate/snapgate/snapshotd/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t testing.TB, address string, options Options) *Database {
	t.Helper()
	d, err := Open(context.Background(), address, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestKeepsTheContract(t *testing.T) {
	server := pgtest.Shared(t)
	address := server.Database(t)
	var users atomic.Int64
	storetest.Run(t, func(t *testing.T, settings store.Settings) store.Store {
		d := open(t, address+"&pool_max_conns=4", Options{Settings: settings})
		return acquire(t, d, ownerOf(fmt.Sprint("contract", users.Add(1))))
	})
	t.Run("Local", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, settings store.Settings) store.Store {
			d := open(t, server.Database(t), Options{Settings: settings})
			s, err := d.Local(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}

func TestProviderKeepsTheContract(t *testing.T) {
	server := pgtest.Shared(t)
	storetest.RunProvider(t, func(t *testing.T, settings store.Settings) store.Provider {
		return open(t, server.Database(t), Options{Settings: settings})
	})
}

func ownerOf(name string) store.Owner {
	return store.Owner{User: "key-of-" + name, Issuer: "https://as", Subject: name}
}

func acquire(t testing.TB, d *Database, owner store.Owner) store.Store {
	t.Helper()
	s, release, err := d.Acquire(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return s
}
