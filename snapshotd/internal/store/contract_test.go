package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/storetest"
)

func TestSQLiteKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, settings store.Settings) store.Store {
		s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "a.db"), store.Options{Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func TestPoolOfFilesKeepsTheContract(t *testing.T) {
	storetest.RunProvider(t, func(t *testing.T, settings store.Settings) store.Provider {
		folder := store.Folder{Base: t.TempDir(), Options: store.Options{Private: true, Adopt: true, Settings: settings}}
		return store.NewPool(folder, 4, time.Minute)
	})
}
