// Command standin is the stdio server that the black-box tests put behind the gateway
// where they need one that does as it is told: it records the exact bytes it reads,
// speaks the era it is asked to, and its tools ask, tell, wait, lie and die.
//
// It is written without an MCP library, so that nothing but the gateway can mend or hide
// what comes through.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	era := flag.String("era", "both", "legacy, modern or both")
	record := flag.String("record", "", "folder in which a file named by the pid takes all input")
	stubborn := flag.Bool("stubborn", false, "ignore the end of input and SIGTERM")
	mute := flag.Bool("mute", false, "never say anything")
	sleep := flag.Bool("sleep", false, "do nothing until killed")
	catalog := flag.Bool("catalog", false, "have prompts and resources, and lists of two pages")
	flag.Parse()
	if *stubborn {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	}
	if *sleep {
		sleepOn()
	}
	var in io.Reader = os.Stdin
	if *record != "" {
		file, err := os.Create(filepath.Join(*record, strconv.Itoa(os.Getpid())))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer file.Close()
		in = io.TeeReader(os.Stdin, file)
	}
	s := &server{era: *era, mute: *mute, catalog: *catalog, asked: map[string]chan json.RawMessage{}, open: map[string]chan struct{}{}}
	s.serve(in)
	if *stubborn {
		sleepOn()
	}
}

// sleepOn never returns. A bare select would be taken for a deadlock.
func sleepOn() {
	for {
		time.Sleep(time.Hour)
	}
}

// message is any message of either side.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

type server struct {
	era     string
	mute    bool
	catalog bool

	writing sync.Mutex

	mu    sync.Mutex
	last  int
	asked map[string]chan json.RawMessage // requests to the client, by raw id
	open  map[string]chan struct{}        // calls of the client, closed when cancelled

	listens []json.RawMessage // ids of open subscriptions

	frozen sync.Mutex // held while nothing is read
}

func (s *server) serve(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line := append([]byte(nil), lines.Bytes()...)
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			fmt.Fprintf(os.Stderr, "unreadable line: %v\n", err)
			continue
		}
		if s.mute {
			continue
		}
		s.thaw()
		switch {
		case m.Method == "":
			s.response(m, line)
		case m.ID == nil:
			s.notification(m)
		default:
			s.request(m)
		}
	}
}

// thaw waits while the server is frozen.
func (s *server) thaw() {
	s.frozen.Lock()
	defer s.frozen.Unlock()
}

func (s *server) response(m message, line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if waiting := s.asked[string(m.ID)]; waiting != nil {
		delete(s.asked, string(m.ID))
		waiting <- line
	}
}

func (s *server) notification(m message) {
	if m.Method != "notifications/cancelled" {
		return
	}
	var params struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(m.Params, &params) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listens = slices.DeleteFunc(s.listens, func(id json.RawMessage) bool { return bytes.Equal(id, params.RequestID) })
	if call := s.open[string(params.RequestID)]; call != nil {
		delete(s.open, string(params.RequestID))
		close(call)
	}
}

func (s *server) request(m message) {
	more := ""
	if s.catalog {
		more = catalogCapabilities
	}
	switch legacy, modern := s.era != "modern", s.era != "legacy"; {
	case m.Method == "initialize" && legacy:
		var params struct {
			ProtocolVersion string `json:"protocolVersion"`
		}
		_ = json.Unmarshal(m.Params, &params) // "" is answered like any other
		s.result(m.ID, fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{"tools":{},"logging":{}%s},"serverInfo":{"name":"standin","version":"1"}}`, params.ProtocolVersion, more))
	case m.Method == "server/discover" && modern:
		s.result(m.ID, `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"logging":{}`+more+`},"ttlMs":0,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"standin","version":"1"}}}`)
	case m.Method == "ping" || m.Method == "logging/setLevel":
		s.result(m.ID, `{}`)
	case s.catalog && s.fromCatalog(m):
	case m.Method == "tools/list":
		s.result(m.ID, `{"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":[`+toolList()+`]}`)
	case m.Method == "subscriptions/listen" && modern:
		s.mu.Lock()
		s.listens = append(s.listens, m.ID)
		s.mu.Unlock()
		s.publish("notifications/subscriptions/acknowledged", m.ID)
	case m.Method == "tools/call":
		cancelled := make(chan struct{})
		s.mu.Lock()
		s.open[string(m.ID)] = cancelled
		s.mu.Unlock()
		go s.call(m, cancelled)
	default:
		s.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no method %s"}}`, m.ID, m.Method))
	}
}

// publish sends a notification on a subscription.
func (s *server) publish(method string, subscription json.RawMessage) {
	s.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{"uri":"test:///r","notifications":{"resourcesListChanged":true},"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, method, subscription))
}

func (s *server) result(id json.RawMessage, result string) {
	s.writeLine(`{"jsonrpc":"2.0","id":` + string(id) + `,"result":` + result + `}`)
}

func (s *server) writeLine(line string) {
	s.writing.Lock()
	defer s.writing.Unlock()
	// Whoever reads no longer is about to end this process.
	_, _ = os.Stdout.WriteString(line + "\n")
}
