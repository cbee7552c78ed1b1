package commands

import (
	"context"
	"fmt"
)

// failure is what went wrong with one user's snapshots.
type failure struct {
	User  string `json:"user"`
	Error string `json:"error"`
}

// each does something for each home, with a prompt stop when the context ends. The
// trouble of one user keeps no other from it: it is told at once, and returned.
func (c *call) each(ctx context.Context, homes []home, do func(home) error) ([]failure, error) {
	if len(homes) == 1 {
		return nil, do(homes[0])
	}
	var failures []failure
	for _, h := range homes {
		err := do(h)
		if ctx.Err() != nil {
			return failures, ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(c.Log, "%s: %v\n", h, err)
			failures = append(failures, failure{User: h.key, Error: err.Error()})
			c.status = Failed
		}
	}
	return failures, nil
}
