package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/storetest"
)

func BenchmarkLarge(b *testing.B) {
	s, err := store.Open(context.Background(), filepath.Join(b.TempDir(), "a.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := storetest.FillLarge(context.Background(), s); err != nil {
		b.Fatal(err)
	}
	storetest.Benchmark(b, s)
}
