package commands

import (
	"context"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func pruneCommand() command {
	return command{
		name:    "prune",
		summary: "delete old snapshots",
		usage:   "--keep-days <n> | --keep-count <n> [flags]",
		help: `What the retention of the server does with each save, done at once, in small
transactions.

  --keep-days <n>    delete what is older
  --keep-count <n>   keep so many of the newest
  --prune-named      snapshots with a name, too; without it they are neither
                     deleted nor counted
  --dry-run          only tell how many it would delete

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.flags.DefineRetention()
			c.toggle("all", "dry-run")
		},
		run: prune,
	}
}

// pruned is what was deleted from one database.
type pruned struct {
	User    string `json:"user,omitempty"`
	File    string `json:"file"`
	Deleted int64  `json:"deleted"`
}

func prune(ctx context.Context, c *call) error {
	if _, err := c.arguments(); err != nil {
		return err
	}
	keep, err := c.flags.Retention()
	if err != nil {
		return usageError{err}
	}
	if keep.MaxAge == 0 && keep.MaxCount == 0 {
		return wrong("nothing to delete by: give --keep-days or --keep-count")
	}
	c.settings.Now = c.Now
	homes, err := c.homes(ctx)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	var total int64
	results, failures, err := each(ctx, c, homes, func(h home, far string) (pruned, error) {
		shown.show("pruning %s (%s)", h, far)
		n, err := h.prune(ctx, keep, c.is("dry-run"))
		total += n
		return pruned{User: h.key, File: h.path, Deleted: n}, err
	})
	if err != nil {
		return err
	}
	shown.end()
	verb := "Deleted"
	if c.is("dry-run") {
		verb = "Would delete"
	}
	return c.answer(struct {
		Pruned []pruned  `json:"pruned"`
		DryRun bool      `json:"dry_run"`
		Failed []failure `json:"failed,omitempty"`
	}{results, c.is("dry-run"), failures}, "%s %s", verb, count(total, "snapshot"))
}

func (h home) prune(ctx context.Context, keep store.Retention, dry bool) (int64, error) {
	s, err := h.open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if dry {
		return wouldPrune(ctx, s, keep, h.settings.Now())
	}
	return s.Prune(ctx, keep)
}

// wouldPrune counts what Prune would delete now.
func wouldPrune(ctx context.Context, s store.Store, keep store.Retention, now time.Time) (n int64, err error) {
	oldest := now.Add(-keep.MaxAge).UTC().Format(time.DateTime)
	var counted int64
	for cursor := ""; ; {
		page, err := s.Page(ctx, store.Filter{}, cursor, store.MaxPage)
		if err != nil {
			return n, err
		}
		for _, entry := range page.Entries {
			if entry.Name != "" && !keep.Named {
				continue
			}
			counted++
			if keep.MaxCount > 0 && counted > keep.MaxCount || keep.MaxAge > 0 && entry.CreatedAt < oldest {
				n++
			}
		}
		if page.Next == "" {
			return n, nil
		}
		cursor = page.Next
	}
}
