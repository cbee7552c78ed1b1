package backend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/process/processtest"
)

// The test binary is its own child: this variable says that it is one, and how it
// answers server/discover.
const childVar = "SNAPGATE_TEST_BACKEND_CHILD"

func TestMain(m *testing.M) {
	if how := os.Getenv(childVar); how != "" {
		play(how)
		os.Exit(0)
	}
	os.Exit(processtest.Run(m))
}

// line is what a child looks at in a message.
type line struct {
	ID     json.RawMessage
	Method string
	Params struct {
		Name      string
		Arguments struct {
			Say []string // lines to write; $id and $token are those of the request
		}
		Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
	}
}

// play is the child: a server whose answers the test writes itself.
func play(how string) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	var seen []string
	for {
		raw, err := in.ReadString('\n')
		if err != nil {
			return
		}
		raw = strings.TrimSuffix(raw, "\n")
		var m line
		if err := json.Unmarshal([]byte(raw), &m); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(9)
		}
		switch {
		case m.Method == "server/discover":
			discoverAs(how, m)
		case m.Method == "seen": // all that came before
			list, _ := json.Marshal(seen)
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"seen":%s}}`+"\n", m.ID, list)
		case m.Params.Name == "say":
			for _, text := range m.Params.Arguments.Say {
				text = strings.ReplaceAll(text, "$id", string(m.ID))
				text = strings.ReplaceAll(text, "$token", string(m.Params.Meta.ProgressToken))
				os.Stdout.WriteString(undo(text) + "\n")
			}
		case m.Params.Name == "mumble":
			fmt.Fprintln(os.Stderr, "still at it")
		case m.Params.Name == "await": // a file
			for _, err := os.Stat(m.Params.Arguments.Say[0]); err != nil; _, err = os.Stat(m.Params.Arguments.Say[0]) {
				time.Sleep(time.Millisecond)
			}
		case m.Params.Name == "hang":
			time.Sleep(time.Hour)
		case m.Params.Name == "die":
			os.Exit(3)
		}
		seen = append(seen, raw)
	}
}

// undo turns what JSON cannot carry into what the child is to write.
func undo(text string) string {
	text = strings.ReplaceAll(text, "<bad utf-8>", "\xff\xfe")
	return strings.ReplaceAll(text, "<deep>", strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000))
}

func discoverAs(how string, m line) {
	switch how {
	case "silent":
	case "die":
		os.Exit(4)
	case "modern":
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}}`+"\n", m.ID)
	case "other-result":
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"hello":1}}`+"\n", m.ID)
	default: // the code of an error
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%s,"message":"no"}}`+"\n", m.ID, how)
	}
}
