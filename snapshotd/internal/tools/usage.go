package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// usageKey is the _meta key of results under which stands what the caller uses. It is not
// under the gateway's prefix, which the gateway keeps to itself.
const usageKey = "io.github.snapgate.snapshotd/usage"

// use is what stands there.
type use struct {
	Snapshots int64  `json:"snapshots"`
	Bytes     int64  `json:"bytes"`
	Limits    limits `json:"limits"`
}

type limits struct {
	Snapshots     int64 `json:"snapshots,omitempty"`
	Bytes         int64 `json:"bytes,omitempty"`
	SnapshotBytes int64 `json:"snapshot_bytes,omitempty"`
}

// used is the structured answer of snapshot_usage.
type used struct {
	use
	LastWrite string    `json:"last_write,omitempty"`
	Retention retention `json:"retention"`
}

type retention struct {
	KeepDays   float64 `json:"keep_days,omitempty"`
	KeepCount  int64   `json:"keep_count,omitempty"`
	PruneNamed bool    `json:"prune_named"`
}

const day = 24 * time.Hour

func useOf(u store.Usage) use {
	return use{Snapshots: u.Snapshots, Bytes: u.Bytes, Limits: limits(u.Limits)}
}

// reportUse adds to a result what the caller uses. A result is not kept back because that
// cannot be told.
func (s *service) reportUse(ctx context.Context, snapshots store.Store, result *mcp.CallToolResult) {
	usage, err := snapshots.Usage(ctx)
	if err != nil {
		s.logger.Warn("what a user uses could not be told", "error", err)
		return
	}
	if result.Meta == nil {
		result.Meta = mcp.Meta{}
	}
	result.Meta[usageKey] = useOf(usage)
}

// usage is the tool snapshot_usage of a server whose stores apply the retention.
func usage(keep store.Retention) operation {
	return func(ctx context.Context, s store.Store, _ jsjson.Value) (*mcp.CallToolResult, error) {
		u, err := s.Usage(ctx)
		if err != nil {
			return nil, storageFailure(err)
		}
		structured := used{use: useOf(u), LastWrite: u.LastWrite, Retention: retention{
			KeepDays: float64(keep.MaxAge) / float64(day), KeepCount: keep.MaxCount, PruneNamed: keep.Named,
		}}
		text := fmt.Sprintf("Snapshots: %s\nBytes: %s\n", of(u.Snapshots, u.Limits.Snapshots), of(u.Bytes, u.Limits.Bytes))
		if most := u.Limits.SnapshotBytes; most > 0 {
			text += fmt.Sprintf("Bytes of one snapshot: at most %d\n", most)
		}
		return textResult(text+"Retention: "+retentionText(keep), structured), nil
	}
}

func of(used, limit int64) string {
	if limit <= 0 {
		return fmt.Sprintf("%d, no limit", used)
	}
	return fmt.Sprintf("%d of at most %d", used, limit)
}

func retentionText(keep store.Retention) string {
	var rules []string
	if keep.MaxAge > 0 {
		rules = append(rules, fmt.Sprintf("are older than %g days", float64(keep.MaxAge)/float64(day)))
	}
	if keep.MaxCount > 0 {
		rules = append(rules, fmt.Sprintf("are not among the newest %d", keep.MaxCount))
	}
	if len(rules) == 0 {
		return "nothing is deleted by itself"
	}
	which := "snapshots without a name"
	if keep.Named {
		which = "snapshots"
	}
	return "a save deletes " + which + " that " + strings.Join(rules, " or ")
}
