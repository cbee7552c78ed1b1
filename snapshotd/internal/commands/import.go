package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/portable"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func importCommand() command {
	return command{
		name:    "import",
		summary: "add snapshots from JSON Lines",
		usage:   "<file|-> [flags]",
		help: `The lines are those that "export" writes; - is standard input. A snapshot that is
there already, with the same text and time, is left out: so an import that broke off
can be repeated. Quotas apply, by flags or variables; see snapshotd --help.

  --conflict <rule>  what becomes of another snapshot with an id that is taken:
                     skip it (the default), replace the one that is there, or
                     renumber: add it under a new id
  --max-snapshots <n>, --max-bytes <size>, --max-snapshot-bytes <size>

` + placeHelp + userHelp + `                     A user who has nothing yet needs issuer and subject.
`,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.flags.DefineLimits()
			c.text("conflict")
		},
		run: importLines,
	}
}

// The lines of an import are written in batches: each is one transaction.
const (
	batchSnapshots = 500
	batchBytes     = 16 << 20
)

var rules = map[string]store.Rule{"": store.Skip, "skip": store.Skip, "replace": store.Replace, "renumber": store.Renumber}

func importLines(ctx context.Context, c *call) error {
	arguments, err := c.arguments("the file to import, or -")
	if err != nil {
		return err
	}
	rule, ok := rules[c.value("conflict")]
	if !ok {
		return wrong("--conflict is %q: it must be skip, replace or renumber", c.value("conflict"))
	}
	limits, err := c.flags.Limits()
	if err != nil {
		return usageError{err}
	}
	c.settings.Limits = limits
	h, err := c.home(ctx)
	if err != nil {
		return err
	}
	in := c.In
	if arguments[0] != "-" {
		file, err := os.Open(arguments[0])
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	s, err := h.openToImport(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	shown := c.newProgress()
	defer shown.end()
	total, err := importAll(ctx, s, portable.NewReader(in).All(), rule, func(n store.Imported) { shown.show("%s", importedText(n)) })
	shown.end()
	if err != nil {
		if total != (store.Imported{}) {
			err = fmt.Errorf("%w (before that: %s; repeat the import when it is mended, what is there is left out)", err, importedText(total))
		}
		return err
	}
	return c.answer(struct {
		User       string `json:"user,omitempty"`
		File       string `json:"file"`
		Added      int    `json:"added"`
		Renumbered int    `json:"renumbered"`
		Replaced   int    `json:"replaced"`
		Skipped    int    `json:"skipped"`
		Present    int    `json:"present"`
	}{h.key, h.path, total.Added, total.Renumbered, total.Replaced, total.Skipped, total.Present},
		"Imported into %s: %s", h.where(), importedText(total))
}

// openToImport opens a home, which is made for an owner who is known.
func (h home) openToImport(ctx context.Context) (store.Store, error) {
	owner, err := h.rightful(ctx)
	switch {
	case err == nil:
		return h.openOrMake(ctx, owner)
	case h.key == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrNoUser)):
		return h.openOrMake(ctx, nil)
	case h.owner != nil && errors.Is(err, store.ErrNoUser):
		return h.openOrMake(ctx, h.owner)
	}
	return nil, err
}

// importAll imports snapshots a batch at a time, and tells after each how many there were.
func importAll(ctx context.Context, s store.Store, snapshots iter.Seq2[store.Snapshot, error], rule store.Rule, tell func(store.Imported)) (store.Imported, error) {
	var total store.Imported
	var batch []store.Snapshot
	var size int64
	flush := func() error {
		got, err := s.Import(ctx, batch, rule)
		if err != nil {
			return err
		}
		total.Added += got.Added
		total.Renumbered += got.Renumbered
		total.Replaced += got.Replaced
		total.Skipped += got.Skipped
		total.Present += got.Present
		batch, size = batch[:0], 0
		tell(total)
		return nil
	}
	for snapshot, err := range snapshots {
		if err != nil {
			return total, err
		}
		batch = append(batch, snapshot)
		if size += snapshot.Bytes(); len(batch) == batchSnapshots || size >= batchBytes {
			if err := flush(); err != nil {
				return total, err
			}
		}
	}
	return total, flush()
}

// importedText names what is not 0.
func importedText(n store.Imported) string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{n.Added, "added"}, {n.Renumbered, "renumbered"}, {n.Replaced, "replaced"},
		{n.Skipped, "skipped because their id is taken"}, {n.Present, "present already"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
