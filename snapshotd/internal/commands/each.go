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

// each does something for each home, with a prompt stop when the context ends, and returns
// what was done. It is told with each how far it is, such as "2 of 3". The trouble of one user
// keeps no other from it: it is told at once, and returned.
func each[T any](ctx context.Context, c *call, homes []home, do func(h home, far string) (T, error)) ([]T, []failure, error) {
	if len(homes) == 1 {
		one, err := do(homes[0], "1 of 1")
		return []T{one}, nil, err
	}
	done, failures := []T{}, []failure(nil)
	for _, h := range homes {
		one, err := do(h, fmt.Sprintf("%d of %d", len(done)+1, len(homes)))
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(c.Log, "%s: %v\n", h, err)
			failures = append(failures, failure{User: h.key, Error: err.Error()})
			c.status = Failed
			continue
		}
		done = append(done, one)
	}
	return done, failures, nil
}
