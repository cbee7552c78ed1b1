package postgres

import (
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
	"github.com/snapgate/snapgate/snapshotd/internal/store/storetest"
)

// BenchmarkLarge measures one user of 100,000 snapshots. A server of tests does without fsync;
// add what the disk takes for it to a save.
func BenchmarkLarge(b *testing.B) {
	server := pgtest.Shared(b)
	name := server.NewDatabase(b, "")
	d := open(b, server.URL(pgtest.Role, name), Options{})
	s := acquire(b, d, ownerOf("large"))
	if err := storetest.FillLarge(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	server.Exec(b, name, "ANALYZE")
	storetest.Benchmark(b, s)
}
