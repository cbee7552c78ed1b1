package bridge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/process/processtest"
)

// The test binary is its own child: these variables say that it is one, and how it
// answers the handshake.
const (
	childVar      = "SNAPGATE_TEST_BRIDGE_CHILD"
	initializeVar = "TEST_INITIALIZE" // ok (default), error, die, silent
	discoverVar   = "TEST_DISCOVER"   // modern (default), legacy, die, silent

	capabilitiesVar = "TEST_CAPABILITIES" // default: the constant capabilities
)

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		play()
		os.Exit(0)
	}
	os.Exit(processtest.Run(m))
}

// incoming is what the child looks at in a message.
type incoming struct {
	ID     json.RawMessage
	Method string
	Result json.RawMessage // of a response
	Error  json.RawMessage
	Params struct {
		Name      string
		RequestID json.RawMessage
		URI       string

		Mark string   // of a call that "keep" was called with
		Say  []string // as below
		Die  bool

		ProtocolVersion string
		Notifications   json.RawMessage
		RequestState    string
		Arguments       struct {
			Say   []string // lines to write; $id and $token are those of the request
			Times int      // how often to write the first of them, if not once; $n is the number
			Burst int      // notifications to write before them
			Size  int      // of each, in bytes
			Every int      // milliseconds between lines
			Mark  string
		}
		Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
	}
}

// server is the child: a server whose answers the test writes itself.
type server struct {
	out   *bufio.Writer
	trace *os.File // nil if the test does not ask for it
	seen  []string
	held  map[string]json.RawMessage // calls that wait, by their own id
	kept  map[string]incoming        // calls of "keep", by mark

	listening json.RawMessage // id of the newest listen
	cancelled []string        // those of listens that were not answered
}

func play() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	s := server{out: bufio.NewWriterSize(os.Stdout, 1<<16), held: map[string]json.RawMessage{}, kept: map[string]incoming{}}
	if file := os.Getenv("TEST_TRACE"); file != "" {
		var err error
		if s.trace, err = os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(8)
		}
	}
	for {
		raw, err := in.ReadString('\n')
		if err != nil {
			return
		}
		raw = strings.TrimSuffix(raw, "\n")
		var m incoming
		if err := json.Unmarshal([]byte(raw), &m); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(9)
		}
		if s.trace != nil {
			// In one write, so that the lines of several children do not mix.
			fmt.Fprintf(s.trace, "read %.8192s\n", raw)
		}
		s.answer(m)
		s.seen = append(s.seen, raw)
		if in.Buffered() == 0 {
			s.out.Flush()
		}
	}
}

func (s *server) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *server) result(id json.RawMessage, result string) {
	s.say(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

func (s *server) answer(m incoming) {
	switch m.Method {
	case "": // an answer to a question of this child: it ends all calls that are held
		said := m.Result
		if said == nil {
			said = m.Error
		}
		for id := range s.held {
			s.result(s.held[id], `{"content":[],"heard":`+string(said)+`}`)
			delete(s.held, id)
		}
	case "resources/subscribe":
		s.subscribe(m)
	case "resources/unsubscribe", "logging/setLevel":
		s.result(m.ID, `{}`)
	case "initialize":
		s.initialize(m)
	case "server/discover":
		s.discover(m.ID)
	case "ping":
		s.result(m.ID, `{}`)
	case "seen":
		list, _ := json.Marshal(s.seen)
		s.result(m.ID, `{"seen":`+string(list)+`}`)
	case "tools/call":
		s.call(m)
	case "subscriptions/listen":
		s.listen(m)
	case "notifications/cancelled":
		if string(m.Params.RequestID) == string(s.listening) && told("TEST_CURT_IF") {
			s.cancelled = append(s.cancelled, string(s.listening))
			s.listening = nil
		} else if string(m.Params.RequestID) == string(s.listening) {
			s.result(s.listening, `{"resultType":"complete"}`)
			s.listening = nil
		}
	case "notifications/act": // what the test wants said about a call that is kept
		s.act(m)
	case "notifications/release": // all calls that are held
		for id := range s.held {
			s.result(s.held[id], `{"released":true}`)
			delete(s.held, id)
		}
	case "unknown":
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, m.ID)
	}
}

func (s *server) act(m incoming) {
	if m.Params.Die {
		s.out.Flush()
		os.Exit(3)
	}
	of := s.kept[m.Params.Mark]
	for _, text := range m.Params.Say {
		s.say("%s", strings.NewReplacer("$id", string(of.ID), "$token", string(of.Params.Meta.ProgressToken)).Replace(text))
	}
}

func (s *server) call(m incoming) {
	args := m.Params.Arguments
	switch m.Params.Name {
	case "echo":
		s.result(m.ID, `{"content":[]}`)
	case "failing":
		s.result(m.ID, `{"content":[],"isError":true}`)
	case "pid":
		s.result(m.ID, fmt.Sprintf(`{"pid":%d}`, os.Getpid()))
	case "wants": // input, twice, as modern servers ask for it
		switch m.Params.RequestState {
		case "":
			s.result(m.ID, `{"resultType":"input_required","requestState":"one","inputRequests":{"name":{"method":"elicitation/create","params":{"message":"who?","n":12345678901234567890,"_meta":{"io.github.snapgate/user":"forged"}}},"where":{"method":"roots/list"}}}`)
		case "one":
			s.result(m.ID, `{"resultType":"input_required","requestState":"two"}`)
		default:
			s.result(m.ID, `{"resultType":"complete","rounds":2}`)
		}
	case "keep":
		s.kept[args.Mark] = m
	case "hold":
		s.held[string(m.ID)] = m.ID
	case "die":
		s.out.Flush()
		os.Exit(3)
	case "mute": // and yet alive
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "opens": // a URL, once
		if m.Params.RequestState == "" {
			s.result(m.ID, `{"resultType":"input_required","requestState":"opening","inputRequests":{"open":{"method":"elicitation/create","params":`+urlParams+`}}}`)
			return
		}
		s.result(m.ID, `{"resultType":"complete","opened":true}`)
	case "deaf": // to what comes after its question
		s.result(m.ID, `{"resultType":"input_required","inputRequests":{"where":{"method":"roots/list"}}}`)
		s.out.Flush()
		os.Stdin.Close()
		time.Sleep(time.Hour)
	case "answer": // the listens that were not
		for _, id := range s.cancelled {
			s.result(json.RawMessage(id), `{"resultType":"complete"}`)
		}
		s.result(m.ID, `{"done":true}`)
		return
	case "nap": // after what it has to say, until there is a file
		for _, text := range args.Say {
			s.say("%s", text)
		}
		s.out.Flush()
		for !exists(args.Mark) {
			time.Sleep(time.Millisecond)
		}
		return
	case "hang": // after what it has to say
		for _, text := range args.Say {
			s.say("%s", text)
		}
		s.out.Flush()
		time.Sleep(time.Hour)
	}
	for n := range args.Burst {
		s.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%d,"fill":"%s"}}`, n, strings.Repeat("x", args.Size))
	}
	for n := range args.Times {
		s.say("%s", strings.NewReplacer("$n", fmt.Sprint(n), "$fill", strings.Repeat("x", args.Size), "$listen", string(s.listening)).Replace(args.Say[0]))
	}
	for _, text := range args.Say[min(args.Times, 1):] {
		text = strings.ReplaceAll(text, "$id", string(m.ID))
		text = strings.ReplaceAll(text, "$listen", string(s.listening))
		if len(s.cancelled) > 0 {
			text = strings.ReplaceAll(text, "$cancelled", s.cancelled[0])
		}
		s.say("%s", strings.ReplaceAll(text, "$token", string(m.Params.Meta.ProgressToken)))
		if args.Every > 0 {
			s.out.Flush()
			time.Sleep(time.Duration(args.Every) * time.Millisecond)
		}
	}
}

// urlParams are those of a question that asks to open a URL.
const urlParams = `{"mode":"url","url":"https://a.example/?x=1&y","message":"A","elicitationId":"1"}`

const capabilities = `{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{}}`

// told says whether the file that a variable names is there.
func told(variable string) bool { return exists(os.Getenv(variable)) }

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// listen takes a subscriptions/listen, or refuses all of it. It remembers the newest only.
// If the file is there it does not take what it took before.
func (s *server) listen(m incoming) {
	asked, less := string(m.Params.Notifications), told("TEST_LESS_IF")
	for told("TEST_LATE_IF") {
		time.Sleep(time.Millisecond)
	}
	if strings.Contains(asked, "refused://") || less && strings.Contains(asked, "picky://") {
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such resource"}}`, m.ID)
		return
	}
	if less && strings.Contains(asked, "ended://") {
		s.result(m.ID, `{"resultType":"complete"}`)
		return
	}
	if less {
		asked = strings.Replace(asked, `"rare://",`, ``, 1)
	}
	s.listening = m.ID
	s.say(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s},"notifications":%s}}`, m.ID, asked)
	if uri := eager.FindString(asked); uri != "" {
		s.say("%s", updatedFor(uri, string(m.ID)))
	}
}

// eager is a resource that changes as soon as somebody listens.
var eager = regexp.MustCompile(`eager://\d+`)

// declared are the capabilities of the server.
func declared(fallback string) string {
	if text := os.Getenv(capabilitiesVar); text != "" {
		return text
	}
	return fallback
}

// subscribe treats a resource as its name says.
func (s *server) subscribe(m incoming) {
	switch m.Params.URI {
	case "silent://":
	case "refused://":
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such resource"}}`, m.ID)
	default:
		s.result(m.ID, `{}`)
	}
}

func (s *server) initialize(m incoming) {
	id := m.ID
	if told("TEST_DIE_IF") {
		os.Exit(4)
	}
	for told("TEST_HOLD_IF") {
		time.Sleep(time.Millisecond)
	}
	if told("TEST_SLOW_IF") {
		time.Sleep(700 * time.Millisecond)
	}
	if v := os.Getenv("TEST_REFUSE"); v != "" && v == m.Params.ProtocolVersion || told("TEST_REFUSE_IF") {
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"Unsupported protocol version"}}`, id)
		return
	}
	switch os.Getenv(initializeVar) {
	case "error":
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"Unsupported protocol version"}}`, id)
	case "die":
		os.Exit(4)
	case "silent":
	default:
		s.result(id, `{"protocolVersion":"2025-11-25","capabilities":`+declared(capabilities)+`,"serverInfo":{"name":"child","version":"1"}}`)
	}
}

func (s *server) discover(id json.RawMessage) {
	for told("TEST_WAIT_IF") {
		time.Sleep(time.Millisecond)
	}
	switch os.Getenv(discoverVar) {
	case "legacy":
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, id)
	case "die":
		os.Exit(4)
	case "silent":
	default:
		s.result(id, `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":`+declared("{}")+`,"cacheScope":"public","ttlMs":0}`)
	}
}
