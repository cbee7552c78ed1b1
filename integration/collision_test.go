package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
)

// collidingUsers have a session and a modern client each.
const collidingUsers = 64

// callsOf is how many calls of all users together collide in each mode. The full number
// takes minutes under the race detector, so it is made only where that is asked for.
func callsOf(t *testing.T) int {
	t.Helper()
	switch full := 100_000; {
	case os.Getenv("SNAPGATE_SOAK") != "":
		return full
	case testing.Short():
		return full / 50
	default:
		return full / 10
	}
}

// Ids, progress tokens and names of many users are equal, and so are those of the two
// eras; neither the answers nor what is reported before them is another's. It runs alone,
// since it takes all that the machine has.
func TestEqualIDsOfManyUsersAreNotMixed(t *testing.T) {
	calls := callsOf(t)
	for _, per := range []string{"session", "user", "shared"} {
		t.Run(per, func(t *testing.T) {
			s := standin()
			// What is looked at is the same without TLS and records, which would take much of the time.
			s.plain, s.mcp = true, []string{"audit off"}
			s.stdio = []string{"per " + per, "max_processes " + strconv.Itoa(2*collidingUsers)}
			g := start(t, s)
			g.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 2 * collidingUsers
			var callers []*peer
			for i := range collidingUsers {
				token := g.token(t, fmt.Sprintf("user-%d", i))
				callers = append(callers, g.legacy(t, token), g.modern(t, token))
			}
			var all sync.WaitGroup
			for i, p := range callers {
				all.Go(func() {
					for round := range (calls + len(callers) - 1) / len(callers) {
						if err := p.collide(round%4, fmt.Sprintf("caller %d, round %d", i, round)); err != nil {
							t.Errorf("caller %d, round %d: %v", i, round, err)
							return // one that is mixed up is enough to know
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// collide makes a call with an id and a progress token that all others use as well, and
// holds that whatever comes back is of this call.
func (p *peer) collide(id int, text string) error {
	a, err := p.try(http.MethodPost, p.message(id, "tools/call", object{
		"name": "progress", "arguments": object{"count": 1, "text": text}, "_meta": object{"progressToken": id},
	}))
	if err != nil {
		return err
	}
	var got []string
	for _, data := range a.messages() {
		var m struct {
			ID     json.RawMessage
			Params struct {
				ProgressToken json.RawMessage
				Message       string
			}
			Result struct{ Content []struct{ Text string } }
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			return fmt.Errorf("%w: %q", err, data)
		}
		got = append(got, fmt.Sprintf("%s|%s|%s|%v", m.ID, m.Params.ProgressToken, m.Params.Message, m.Result.Content))
	}
	want := []string{fmt.Sprintf("|%d|%s|[]", id, text), fmt.Sprintf("%d|||[{%s}]", id, text)}
	if a.status != http.StatusOK || fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("status %d, got %q, want %q", a.status, got, want)
	}
	return nil
}
