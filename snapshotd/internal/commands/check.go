package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func checkCommand() command {
	return command{
		name:    "check",
		summary: "look for damage in databases",
		usage:   "[flags]",
		help: `It looks at every page and index of the file, compares the search index and the
totals with the snapshots, and checks that a user's file is in their own folder. A
database of an earlier schema is brought up to date first, as by the server.
In PostgreSQL, pages are for its own pg_amcheck to look at.

  --repair           make search index and totals anew where they are wrong; the
                     snapshots themselves are only read

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.toggle("all", "repair")
		},
		run: check,
	}
}

// checked is what was found in one database.
type checked struct {
	User     string    `json:"user,omitempty"`
	File     string    `json:"file"`
	Problems []problem `json:"problems"`

	where string
}

type problem struct {
	Text       string `json:"text"`
	Repairable bool   `json:"repairable"`
	Repaired   bool   `json:"repaired"`
}

func check(ctx context.Context, c *call) error {
	if _, err := c.arguments(); err != nil {
		return err
	}
	homes, err := c.homes(ctx)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	results, failures, err := each(ctx, c, homes, func(h home, far string) (checked, error) {
		shown.show("checking %s (%s)", h, far)
		return h.check(ctx, c.is("repair"))
	})
	if err != nil {
		return err
	}
	shown.end()
	text := checkText(c, results)
	return c.answer(struct {
		Checked []checked `json:"checked"`
		Failed  []failure `json:"failed,omitempty"`
	}{results, failures}, "%s", text)
}

// checkText tells what was found and sets the status.
func checkText(c *call, results []checked) string {
	var b strings.Builder
	left := 0
	for _, one := range results {
		for _, p := range one.Problems {
			remark := ""
			switch {
			case p.Repaired:
				remark = " (repaired)"
			case p.Repairable:
				remark = " (--repair mends it)"
			}
			if !p.Repaired {
				left++
			}
			fmt.Fprintf(&b, "%s: %s%s\n", one.where, p.Text, remark)
		}
	}
	if left > 0 {
		c.status = Damaged
		fmt.Fprintf(&b, "%s found", count(left, "problem"))
	} else {
		fmt.Fprintf(&b, "%s checked: no damage", count(len(results), "database"))
		if b.Len() > 0 && strings.Contains(b.String(), "(repaired)") {
			b.WriteString(" is left")
		}
	}
	return b.String()
}

// check looks for damage in a home. The error is one of looking.
func (h home) check(ctx context.Context, repair bool) (checked, error) {
	result := checked{User: h.key, File: h.path, Problems: []problem{}, where: h.where()}
	_, err := h.rightful(ctx)
	switch {
	case errors.Is(err, store.ErrOwner), errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrForeign):
		result.Problems = append(result.Problems, problem{Text: err.Error()})
		return result, nil
	case err != nil:
		return result, err
	}
	s, err := h.open(ctx)
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrForeign) {
		result.Problems = append(result.Problems, problem{Text: err.Error()})
		return result, nil
	}
	if err != nil {
		return result, err
	}
	defer s.Close()
	found, err := s.Check(ctx)
	if err != nil {
		return result, err
	}
	for _, p := range found {
		result.Problems = append(result.Problems, problem{Text: p.What, Repairable: p.Repairable})
	}
	if repair && slices.ContainsFunc(found, func(p store.Problem) bool { return p.Repairable }) {
		return result, mend(ctx, s, found, &result)
	}
	return result, nil
}

// mend repairs what can be and looks again: what is not found any more is repaired.
func mend(ctx context.Context, s store.Store, found []store.Problem, result *checked) error {
	if err := s.Repair(ctx); err != nil {
		return err
	}
	still, err := s.Check(ctx)
	if err != nil {
		return err
	}
	known, left := texts(found), texts(still)
	for i, p := range result.Problems {
		result.Problems[i].Repaired = !left[p.Text]
	}
	for _, p := range still {
		if !known[p.What] {
			result.Problems = append(result.Problems, problem{Text: p.What, Repairable: p.Repairable})
		}
	}
	return nil
}

func texts(problems []store.Problem) map[string]bool {
	all := make(map[string]bool)
	for _, p := range problems {
		all[p.What] = true
	}
	return all
}
