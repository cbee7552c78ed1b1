package store

import (
	"fmt"
	"strings"
	"time"
)

// Limits are the quotas of one user. Zero is no limit.
type Limits struct {
	Snapshots     int64 // how many there may be
	Bytes         int64 // of all of them, as [Draft.Bytes] counts
	SnapshotBytes int64 // of one
}

// Usage is what a user has.
type Usage struct {
	Snapshots int64
	Bytes     int64  // as [Draft.Bytes] counts; on disk, with its index, it takes some three times that
	LastWrite string // as in [User]
	Limits    Limits
}

// Quota names a limit.
type Quota string

// The quotas.
const (
	QuotaSnapshots     Quota = "snapshots"
	QuotaBytes         Quota = "bytes"
	QuotaSnapshotBytes Quota = "bytes of one snapshot"
)

// QuotaError means that a write would pass a limit.
type QuotaError struct {
	Quota  Quota
	Limit  int64
	Used   int64 // before the write; 0 for QuotaSnapshotBytes
	Wanted int64 // what the write would have added
	// Suggested are some snapshots to delete, the oldest first, those without a name
	// before those with one.
	Suggested []Entry
}

// Error says what is used, what the limit is and what can be deleted.
func (e *QuotaError) Error() string {
	if e.Quota == QuotaSnapshotBytes {
		return fmt.Sprintf("quota exceeded: this snapshot has %d bytes and one may have at most %d; shorten its context or save it in parts", e.Wanted, e.Limit)
	}
	text := fmt.Sprintf("quota exceeded: %d of at most %d %s are used and this needs %d more; delete snapshots that are no longer needed",
		e.Used, e.Limit, e.Quota, e.Wanted)
	if len(e.Suggested) == 0 {
		return text
	}
	labels := make([]string, len(e.Suggested))
	for i, s := range e.Suggested {
		labels[i] = fmt.Sprintf("#%d of %s", s.ID, s.CreatedAt)
	}
	return text + ", the oldest first: " + strings.Join(labels, ", ")
}

// Check returns a [*QuotaError] if a draft alone is too large.
func (l Limits) Check(draft Draft) error {
	if size := draft.Bytes(); l.SnapshotBytes > 0 && size > l.SnapshotBytes {
		return &QuotaError{Quota: QuotaSnapshotBytes, Limit: l.SnapshotBytes, Wanted: size}
	}
	return nil
}

// ofAll says whether there is a limit on all snapshots together.
func (l Limits) ofAll() bool { return l.Snapshots > 0 || l.Bytes > 0 }

// Exceeded returns the quota that a use passes, or nil. What was there before
// counts as used, so that the error tells the two apart.
func (l Limits) Exceeded(before, after Usage) *QuotaError {
	switch {
	case l.Snapshots > 0 && after.Snapshots > l.Snapshots:
		return &QuotaError{Quota: QuotaSnapshots, Limit: l.Snapshots, Used: before.Snapshots, Wanted: after.Snapshots - before.Snapshots}
	case l.Bytes > 0 && after.Bytes > l.Bytes:
		return &QuotaError{Quota: QuotaBytes, Limit: l.Bytes, Used: before.Bytes, Wanted: after.Bytes - before.Bytes}
	}
	return nil
}

// Retention says which snapshots are kept. The zero Retention keeps all.
type Retention struct {
	// MaxAge, if above 0, deletes snapshots that are older.
	MaxAge time.Duration
	// MaxCount, if above 0, keeps that many of the newest. Named snapshots are not
	// counted unless they may be deleted.
	MaxCount int64
	// Named lets snapshots with a name be deleted, too.
	Named bool
}

// KeepsAll says whether the retention never deletes.
func (r Retention) KeepsAll() bool { return r.MaxAge <= 0 && r.MaxCount <= 0 }
