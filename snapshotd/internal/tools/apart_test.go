package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The property: whatever many users do at once through one process, each reads what they
// wrote themselves and nothing else. Every text that a user writes is marked with their
// name, and names, ids and words are the same for all.
func TestManyUsersAtOnceAreApart(t *testing.T) {
	const steps = 4
	many := 1000
	if testing.Short() || raceDetector {
		many = 50
	}
	for version, users := range map[string]int{"": many, "2025-11-25": many / 10} {
		c := connectTo(t, manyUsers(t, nil), version, nil)
		var all sync.WaitGroup
		for i := range users {
			u := &user{client: c, name: fmt.Sprintf("user%d", i), random: rand.New(rand.NewPCG(1, uint64(i)))}
			all.Go(func() {
				for range steps {
					if err := u.step(); err != nil {
						t.Errorf("version %q: %s: %v", version, u.name, err)
						return
					}
				}
			})
		}
		all.Wait()
	}
}

// user does things at random and knows what there must be.
type user struct {
	client client
	name   string
	random *rand.Rand
	saved  int   // how many were, so that ids go from 1 to it
	there  []int // ids, ascending
}

// mark is in every text of the user, with the id.
func (u *user) mark(id int) string { return fmt.Sprintf("<%s-%d>", u.name, id) }

var marks = regexp.MustCompile(`<user\d+-\d+>`)

// step makes one call, and holds that its answer has the marks that it must have, once or
// more each, and no other.
func (u *user) step() error {
	ctx := context.Background()
	meta := stamp(u.name, allScopes...)
	var text string
	var want []string
	var err error
	switch choice := u.random.IntN(8); {
	case choice < 3 || len(u.there) == 0:
		u.saved++
		u.there = append(u.there, u.saved)
		arguments := fmt.Sprintf(`{"name":"n","summary":"word %s","context":"c"}`, u.mark(u.saved))
		text, err = u.call(ctx, meta, saveTool, arguments)
		if want := fmt.Sprintf("Saved snapshot #%d (n)", u.saved); err == nil && !strings.HasPrefix(text, want+"\n") {
			err = fmt.Errorf("saved as %q, want %s", text, want)
		}
		return err
	case choice == 3:
		text, want, err = u.load(ctx, meta)
	case choice == 4:
		want = u.marks()
		text, err = u.call(ctx, meta, []string{listTool, findTool, exportTool}[u.random.IntN(3)], ``)
	case choice == 5:
		want = u.marks()
		text, err = u.call(ctx, meta, searchTool, `{"query":"word"}`)
	case choice == 6:
		id := u.there[len(u.there)-1]
		want = []string{u.mark(id)}
		var result *mcp.ReadResourceResult
		if result, err = u.client.ReadResource(ctx, &mcp.ReadResourceParams{Meta: meta, URI: latestURI}); err == nil {
			text = result.Contents[0].Text
		}
	default:
		i := u.random.IntN(len(u.there))
		text, err = u.call(ctx, meta, deleteTool, fmt.Sprintf(`{"id":%d}`, u.there[i]))
		u.there = append(u.there[:i:i], u.there[i+1:]...)
	}
	if err != nil {
		return err
	}
	return sameMarks(text, want)
}

func (u *user) load(ctx context.Context, meta mcp.Meta) (text string, want []string, err error) {
	id := u.there[u.random.IntN(len(u.there))]
	arguments := fmt.Sprintf(`{"id":%d}`, id)
	if u.random.IntN(2) == 0 {
		id, arguments = u.there[len(u.there)-1], `{"name":"n"}`
	}
	text, err = u.call(ctx, meta, loadTool, arguments)
	return text, []string{u.mark(id)}, err
}

func (u *user) marks() []string {
	all := make([]string, len(u.there))
	for i, id := range u.there {
		all[i] = u.mark(id)
	}
	return all
}

// call returns everything that an answer says.
func (u *user) call(ctx context.Context, meta mcp.Meta, tool, arguments string) (string, error) {
	params := &mcp.CallToolParams{Name: tool, Meta: meta}
	if arguments != "" {
		params.Arguments = json.RawMessage(arguments)
	}
	result, err := u.client.CallTool(ctx, params)
	if err != nil {
		return "", err
	}
	whole, err := json.Marshal(result.StructuredContent)
	if err == nil && result.IsError {
		err = fmt.Errorf("%s %s: %s", tool, arguments, textOf(result))
	}
	text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(whole))
	return textOf(result) + "\n" + text, err
}

// sameMarks compares the marks in a text with those that must be there.
func sameMarks(text string, want []string) error {
	missing := make(map[string]bool, len(want))
	for _, mark := range want {
		missing[mark] = true
	}
	known := len(missing)
	found := map[string]bool{}
	for _, mark := range marks.FindAllString(text, -1) {
		if !missing[mark] {
			return fmt.Errorf("read %s, which is not theirs or not there, in %q", mark, text)
		}
		found[mark] = true
	}
	if len(found) != known {
		return fmt.Errorf("read %d snapshots of %d in %q", len(found), known, text)
	}
	return nil
}
