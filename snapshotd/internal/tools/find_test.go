package tools

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// yearly is a client of a server where each save is a day after the one before.
func yearly(t testing.TB, version string) client {
	t.Helper()
	now := noon
	settings := store.Settings{Now: func() time.Time {
		now = now.Add(24 * time.Hour)
		return now
	}}
	return connect(t, newStoreWith(t, settings), policy.NoAuth{}, version)
}

// nextOf is next_cursor of an answer, "" if it has none.
func nextOf(t testing.TB, c client, tool, arguments string) (text, next string) {
	t.Helper()
	result := c.call(t, tool, arguments, nil)
	if result.IsError {
		t.Fatalf("%s %s: %s", tool, arguments, textOf(result))
	}
	next, _ = result.StructuredContent.(map[string]any)["next_cursor"].(string)
	return textOf(result), next
}

func TestFindFiltersByNameTextAndDate(t *testing.T) {
	for _, version := range versions {
		c := yearly(t, version)
		c.text(t, saveTool, `{"summary":"one","context":"the parser fails","name":"work/parser"}`)           // 10-27
		c.text(t, saveTool, `{"summary":"two","context":"a trip to Rome","name":"trip"}`)                    // 10-28
		c.text(t, saveTool, `{"summary":"three","context":"parser mended","name":"work/parser"}`)            // 10-29
		c.text(t, saveTool, `{"summary":"four","context":"nothing","next_steps":"look at the parser more"}`) // 10-30
		for arguments, want := range map[string]string{
			``:                                "4 3 2 1",
			`{"name":"work/parser"}`:          "3 1",
			`{"name":"work"}`:                 "",
			`{"name_prefix":"work"}`:          "3 1",
			`{"text":"parser"}`:               "4 3 1",
			`{"text":"pars* mended"}`:         "3",
			`{"text":"\"the parser\""}`:       "4 1",
			`{"created_after":"2025-10-29"}`:  "4 3",
			`{"created_before":"2025-10-28"}`: "1",
			`{"created_after":"2025-10-28T12:00:00Z","created_before":"2025-10-29T12:00:00Z"}`:                  "2",
			`{"created_after":"2025-10-28 14:00:00"}`:                                                           "4 3",
			`{"created_after":"2025-10-28T14:00:00+02:00"}`:                                                     "4 3 2",
			`{"text":"parser","name_prefix":"work","created_after":"2025-10-28","created_before":"2026-01-01"}`: "3",
			`{"limit":2}`: "4 3",
		} {
			text, _ := nextOf(t, c, findTool, arguments)
			var ids []string
			for line := range strings.Lines(text) {
				if id, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(id, "#") {
					ids = append(ids, id[1:])
				}
			}
			if got := strings.Join(ids, " "); got != want {
				t.Errorf("%s: %q, want %q", arguments, got, want)
			}
		}
	}
}

func TestFindPagesHoldEachSnapshotOnce(t *testing.T) {
	c := local(t)
	for i := range 25 {
		c.text(t, saveTool, fmt.Sprintf(`{"summary":"s%d","context":"c"}`, i))
	}
	var lines []string
	arguments := `{"limit":10}`
	for pages := 1; ; pages++ {
		text, next := nextOf(t, c, findTool, arguments)
		list, hint, _ := strings.Cut(text, "\n\n")
		lines = append(lines, strings.Split(list, "\n")...)
		if next == "" {
			if pages != 3 || hint != "" {
				t.Errorf("%d pages, the last ends with %q", pages, hint)
			}
			break
		}
		if !strings.HasSuffix(hint, next) {
			t.Errorf("the text ends with %q, the cursor is %s", hint, next)
		}
		// What comes meanwhile is newer than all pages.
		c.text(t, saveTool, `{"summary":"later","context":"c"}`)
		arguments = fmt.Sprintf(`{"limit":10,"cursor":%q}`, next)
	}
	if len(lines) != 25 || !strings.HasPrefix(lines[0], "#25 ") || !strings.HasPrefix(lines[24], "#1 ") {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestSearchRanksAndShowsWhere(t *testing.T) {
	for _, version := range versions {
		c := connect(t, newStore(t), policy.NoAuth{}, version)
		c.text(t, saveTool, `{"summary":"rare word below","context":"`+strings.Repeat("filler ", 200)+`𝄞 the Gopher digs"}`)
		c.text(t, saveTool, `{"summary":"gopher gopher","context":"c","name":"gopher"}`)
		c.text(t, saveTool, `{"summary":"other","context":"c"}`)
		result := c.call(t, searchTool, `{"query":"gopher"}`, nil)
		lines := strings.Split(textOf(result), "\n")
		if len(lines) != 4 || lines[0] != "#2 (gopher) - gopher gopher [2025-10-26 12:00:00]" ||
			!strings.HasPrefix(lines[2], "#1 - rare") || !strings.Contains(lines[3], "𝄞 the **Gopher** digs") || !strings.HasPrefix(lines[3], "    context: …") {
			t.Errorf("text %q", lines)
		}
		match := result.StructuredContent.(map[string]any)["matches"].([]any)[1].(map[string]any)
		snippet := match["snippet"].(map[string]any)
		hit := snippet["hits"].([]any)[0].([]any)
		from, to := int(hit[0].(float64)), int(hit[1].(float64))
		if got := string(utf16Part(snippet["text"].(string), from, to)); got != "Gopher" {
			t.Errorf("the hit is %q of %v", got, snippet)
		}
		if got := c.text(t, searchTool, `{"query":"nowhere"}`); got != "No snapshots match." {
			t.Errorf("got %q", got)
		}
	}
}

func TestSearchPages(t *testing.T) {
	c := local(t)
	for range 5 {
		c.text(t, saveTool, `{"summary":"word","context":"c"}`)
	}
	seen := map[string]bool{}
	for arguments, pages := `{"query":"word","limit":2}`, 0; ; {
		text, next := nextOf(t, c, searchTool, arguments)
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "#") {
				seen[line] = true
			}
		}
		pages++
		if next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		arguments = fmt.Sprintf(`{"query":"word","limit":2,"cursor":%q}`, next)
	}
	if len(seen) != 5 {
		t.Errorf("found %v", seen)
	}
}

func TestBadArgumentsOfTheNewTools(t *testing.T) {
	wrong := func(details string) string {
		return "Error: Invalid field\nDetails: " + details + "\nCode: validation_error"
	}
	const cursor = "unknown cursor: take the one that came with the page before, or none for the first page"
	const date = " must be a date such as 2025-10-26, or a date and time such as 2025-10-26T12:00:00Z"
	c := local(t)
	for _, test := range []struct{ tool, arguments, want string }{
		{searchTool, ``, "Error: Missing required field\nDetails: query is required\nCode: validation_error"},
		{searchTool, `{"query":""}`, "Error: Missing required field\nDetails: query is required\nCode: validation_error"},
		{searchTool, `{"query":7}`, wrong("query must be a string")},
		{searchTool, `{"query":"q","limit":101}`, wrong("limit must be a whole number from 1 to 100")},
		{searchTool, `{"query":"q","cursor":"x"}`, wrong(cursor)},
		{searchTool, `{"query":"` + strings.Repeat("a ", 33) + `"}`, wrong("invalid value: the query has 33 words or phrases, and may have 32")},
		{findTool, `{"limit":0}`, wrong("limit must be a whole number from 1 to 1000")},
		{findTool, `{"limit":1.5}`, wrong("limit must be a whole number from 1 to 1000")},
		{findTool, `{"limit":"5"}`, wrong("limit must be a whole number from 1 to 1000")},
		{findTool, `{"cursor":"5"}`, wrong(cursor)},
		{findTool, `{"cursor":5}`, wrong("cursor must be a string")},
		{findTool, `{"created_after":"yesterday"}`, wrong("created_after" + date)},
		{findTool, `{"created_before":"2025-13-01"}`, wrong("created_before" + date)},
		{findTool, `{"name_prefix":[]}`, wrong("name_prefix must be a string")},
		{exportTool, `{"format":"xml"}`, wrong("format must be jsonl or markdown")},
		{exportTool, `{"cursor":"-1"}`, wrong(cursor)},
		{exportTool, `{"cursor":"x"}`, wrong(cursor)},
		{usersTool, `{}`, "Error: Unknown tool: list_users\nCode: unknown_tool"}, // there are no users here
		{adminLoadTool, `{"user":""}`, "Error: Unknown tool: admin_load_snapshot\nCode: unknown_tool"},
	} {
		result := c.call(t, test.tool, test.arguments, nil)
		if got := textOf(result); got != test.want || !result.IsError {
			t.Errorf("%s %s\ngot  %q\nwant %q", test.tool, test.arguments, got, test.want)
		}
	}
}
