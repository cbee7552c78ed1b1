package integration_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/identity"
)

// smuggled is a message that tells different readers different things, or something that
// looks like it. It is sent in both eras unless one is named.
//
// In the texts <meta> stands for the members of _meta that a request of the era needs, and
// in what arrives <id> for an id of the gateway and <stamp> for the verified identity.
type smuggled struct {
	name string
	sent string

	method string // that the modern headers tell; default tools/call
	tool   string // likewise; default echo
	header http.Header

	status int
	code   int    // of the JSON-RPC error
	reads  string // exactly the line that the child reads; "" for none
	only   string // the version of the era
}

// required are the members of _meta in place of <meta>.
var required = map[string]string{
	legacyVersion: `"legacy":"2025"`,
	modernVersion: `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`,
}

// smuggling is a gateway of which the child's tool die is denied, with all that the child
// reads on record.
type smuggling struct {
	*peer
	folder string
	read   int // lines that were looked at
}

// TestSmuggling sends every row to the running gateway. A row that is refused shows in
// that the child reads the next call and nothing before it; one that is carried in that
// the child reads the very line that is written down for it.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	corpus := slices.Concat(smuggledNames(), smuggledBytes(), smuggledIdentity(), carried())
	for _, version := range []string{legacyVersion, modernVersion} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s := standin("-record", folder)
			s.mcp = []string{"scopes {", "	base tools:use", "	tool env tools:more", "	deny tool die", "}"}
			g := start(t, s)
			token := g.token(t, "alice", "tools:use")
			c := &smuggling{peer: g.modern(t, token), folder: folder}
			if version == legacyVersion {
				c.peer = g.legacy(t, token)
			}
			c.next(t) // the child is there, and has read what begins a conversation
			for _, row := range corpus {
				if row.only == "" || row.only == version {
					t.Run(row.name, func(t *testing.T) { c.try(t, row) })
				}
			}
		})
	}
}

// next makes a call and returns what the child read between the one before and it.
func (c *smuggling) next(t *testing.T) []string {
	t.Helper()
	const last = "all before is read"
	if got := c.call("next", "echo", object{"text": last}); got != last {
		t.Fatalf("the call after it: %q", got)
	}
	lines := recorded(t, c.folder)
	fresh := lines[c.read : len(lines)-1]
	if c.read = len(lines); !bytes.Contains(lines[len(lines)-1], []byte(last)) {
		t.Fatalf("the last line is %s", lines[len(lines)-1])
	}
	var text []string
	for _, line := range fresh {
		text = append(text, string(line))
	}
	return text
}

func (c *smuggling) try(t *testing.T, row smuggled) {
	sent := strings.ReplaceAll(row.sent, "<meta>", required[c.version])
	a := c.post(sent, func(r *http.Request) {
		if c.version == modernVersion {
			r.Header.Set("Mcp-Method", cmp.Or(row.method, "tools/call"))
			r.Header.Set("Mcp-Name", cmp.Or(row.tool, "echo"))
		}
		for name, values := range row.header {
			r.Header[name] = values
		}
	})
	if !a.has(row.status) || a.code() != row.code {
		t.Errorf("answer %d %s, want %d and error %d", a.status, a.body, row.status, row.code)
	}
	lines := c.next(t)
	if row.reads == "" {
		if len(lines) != 0 {
			t.Errorf("the child reads %q, and should read nothing of it", lines)
		}
		return
	}
	want := strings.ReplaceAll(row.reads, "<meta>", required[c.version])
	if len(lines) != 1 || !reads(want).MatchString(lines[0]) {
		t.Errorf("the child reads\n%q, want\n%q", lines, want)
	}
	for _, line := range lines {
		if id := stamped(t, []byte(line)); strings.Contains(row.reads, "<stamp>") && (id == nil || id.Subject != "alice") {
			t.Errorf("stamped %+v", id)
		}
	}
	if want := idOf(t, sent); want != "" && idOf(t, a.last()) != want {
		t.Errorf("the answer to id %s is %s", want, a.body)
	}
}

// reads matches the line exactly, but for the id and the identity.
func reads(line string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(line)
	pattern = strings.ReplaceAll(pattern, "<id>", `[0-9]+`)
	// The values of the identity are looked at by stamped. None of them holds a brace.
	stamp := regexp.QuoteMeta(`"`+identity.MetaKey+`":`) + `\{"issuer":[^{}]*,"claims":\{\}\}`
	return regexp.MustCompile(`^` + strings.ReplaceAll(pattern, "<stamp>", stamp) + `$`)
}

// idOf is the id of a message as it is written, "" if there is none.
func idOf(t *testing.T, message string) string {
	t.Helper()
	var m struct{ ID json.RawMessage }
	if message != "" && json.Unmarshal([]byte(message), &m) != nil {
		t.Fatalf("no JSON: %q", message)
	}
	return string(m.ID)
}
