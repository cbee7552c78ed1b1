package settings

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// The environment variables of quotas and retention.
const (
	EnvMaxSnapshots     = "SNAPSHOT_MAX_SNAPSHOTS"
	EnvMaxBytes         = "SNAPSHOT_MAX_BYTES"
	EnvMaxSnapshotBytes = "SNAPSHOT_MAX_SNAPSHOT_BYTES"
	EnvKeepDays         = "SNAPSHOT_KEEP_DAYS"
	EnvKeepCount        = "SNAPSHOT_KEEP_COUNT"
	EnvPruneNamed       = "SNAPSHOT_PRUNE_NAMED"
	EnvMaxOpenFiles     = "SNAPSHOT_MAX_OPEN_FILES"
)

const (
	maxDays      = 36500 // a hundred years
	maxOpenFiles = 100_000
)

// DefineLimits adds the flags of quotas.
func (f Flags) DefineLimits() { f.define("max-snapshots", "max-bytes", "max-snapshot-bytes") }

// Limits reads them. 0 is no limit, so that a flag can lift that of a variable.
func (f Flags) Limits() (store.Limits, error) {
	var limits store.Limits
	for _, one := range []struct {
		name, variable string
		read           func(value) (int64, error)
		to             *int64
	}{
		{"max-snapshots", EnvMaxSnapshots, value.count, &limits.Snapshots},
		{"max-bytes", EnvMaxBytes, value.size, &limits.Bytes},
		{"max-snapshot-bytes", EnvMaxSnapshotBytes, value.size, &limits.SnapshotBytes},
	} {
		v, err := f.find(one.name, one.variable)
		if err != nil {
			return limits, err
		}
		if *one.to, err = one.read(v); err != nil {
			return limits, err
		}
	}
	if limits.Bytes > 0 && limits.SnapshotBytes > limits.Bytes {
		return limits, fmt.Errorf("max-snapshot-bytes is %d and max-bytes %d: one snapshot cannot have more bytes than all together",
			limits.SnapshotBytes, limits.Bytes)
	}
	return limits, nil
}

// DefineRetention adds the flags of the retention.
func (f Flags) DefineRetention() {
	f.define("keep-days", "keep-count")
	f.Bool("prune-named", false, "")
}

// Retention reads them. 0 keeps all.
func (f Flags) Retention() (store.Retention, error) {
	var keep store.Retention
	days, err := f.find("keep-days", EnvKeepDays)
	if err != nil {
		return keep, err
	}
	count, err := f.find("keep-count", EnvKeepCount)
	if err != nil {
		return keep, err
	}
	named, err := f.find("prune-named", EnvPruneNamed)
	if err != nil {
		return keep, err
	}
	n, err := days.count()
	if err != nil {
		return keep, err
	}
	if n > maxDays {
		return keep, fmt.Errorf("%s is %d: it must be at most %d days", days.source, n, maxDays)
	}
	keep.MaxAge = time.Duration(n) * 24 * time.Hour
	if keep.MaxCount, err = count.count(); err != nil {
		return keep, err
	}
	if named.text != "" {
		if keep.Named, err = strconv.ParseBool(named.text); err != nil {
			return keep, fmt.Errorf("%s is %q: it must be true or false", named.source, named.text)
		}
	}
	if keep.Named && keep.MaxAge == 0 && keep.MaxCount == 0 {
		return keep, fmt.Errorf("%s without --keep-days and --keep-count deletes nothing: give one of them", named.source)
	}
	return keep, nil
}

// count reads a number of things; 0 if not set.
func (v value) count() (int64, error) {
	if v.text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q: it must be a whole number, 0 for no limit", v.source, v.text)
	}
	return n, nil
}

// size reads a number of bytes; 0 if not set.
func (v value) size() (int64, error) {
	if v.text == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(v.text)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("%s is %q: it must be a size such as 500000, 10MB or 64MiB, 0 for no limit", v.source, v.text)
	}
	return int64(n), nil
}

// openFiles reads how many users' files may be open at once.
func (f Flags) openFiles(oneFile bool) (int, error) {
	v, err := f.find("max-open-files", EnvMaxOpenFiles)
	if err != nil || v.text == "" {
		return store.DefaultOpen, err
	}
	if v.flag && oneFile {
		return 0, fmt.Errorf("%s is for --data, which has a file for each user", v.source)
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || n < 1 || n > maxOpenFiles {
		return 0, fmt.Errorf("%s is %q: it must be a whole number from 1 to %d", v.source, v.text, maxOpenFiles)
	}
	return n, nil
}
