package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// arguments of all tools.
type arguments struct {
	Text   string          `json:"text"`
	Bytes  []byte          `json:"bytes"` // in base64, for what no string holds
	Name   string          `json:"name"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	File   string          `json:"file"`
	Late   bool            `json:"late"`
	Count  int             `json:"count"`
}

// call is one tools/call.
type call struct {
	server    *server
	id        json.RawMessage
	token     json.RawMessage // for progress, or nil
	cancelled <-chan struct{}
	arguments

	// Of a call at a modern version:
	modern    bool
	state     string                     // its requestState
	responses map[string]json.RawMessage // its inputResponses
}

// tools return the text of the answer; false means that there is none.
var tools = map[string]func(c *call) (string, bool){
	"echo":     func(c *call) (string, bool) { return c.Text, true },
	"pid":      func(*call) (string, bool) { return strconv.Itoa(os.Getpid()), true },
	"env":      func(c *call) (string, bool) { return os.Getenv(c.Name), true },
	"hold":     (*call).hold,
	"ask":      (*call).ask,
	"survey":   (*call).survey,
	"freeze":   (*call).freeze,
	"tell":     (*call).tell,
	"progress": (*call).progress,
	"write":    (*call).write,
	"fill":     (*call).fill,
	"spawn":    (*call).spawn,
	"publish":  (*call).publish,
	"unlisten": (*call).unlisten,
	"die":      func(*call) (string, bool) { os.Exit(3); return "", false },
}

func toolList() string {
	var list []string
	for name := range tools {
		list = append(list, fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name))
	}
	return strings.Join(list, ",")
}

func (s *server) call(m message, cancelled <-chan struct{}) {
	var params struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
		State     string    `json:"requestState"`
		Meta      struct {
			ProgressToken json.RawMessage `json:"progressToken"`
			Version       string          `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
		Responses map[string]json.RawMessage `json:"inputResponses"`
	}
	if err := json.Unmarshal(m.Params, &params); err != nil || tools[params.Name] == nil {
		s.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such tool"}}`, m.ID))
		return
	}
	c := &call{
		server: s, id: m.ID, token: params.Meta.ProgressToken, cancelled: cancelled, arguments: params.Arguments,
		modern: params.Meta.Version != "", state: params.State, responses: params.Responses,
	}
	text, answer := tools[params.Name](c)
	if !answer {
		return
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings always marshal
	}
	s.result(m.ID, `{"resultType":"complete","content":[{"type":"text","text":`+string(quoted)+`}]}`)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, string(m.ID))
}

// hold writes <file>.in and waits until <file> is there. If it is cancelled it writes
// the id by which that happened to <file>.cancelled, and answers only if it is to be late.
func (c *call) hold() (string, bool) {
	if os.WriteFile(c.File+".in", nil, 0o600) != nil {
		return "cannot write", true
	}
	for {
		select {
		case <-c.cancelled:
			if os.WriteFile(c.File+".cancelled", c.id, 0o600) != nil {
				return "cannot write", true
			}
			return "late", c.Late
		case <-time.After(2 * time.Millisecond):
			if _, err := os.Stat(c.File); err == nil {
				return "released", true
			}
		}
	}
}

// ask sends a request to the client and returns its response as it came.
func (c *call) ask() (string, bool) {
	answer := c.server.ask(c.Method, string(c.Params))
	select {
	case line := <-answer:
		return string(line), true
	case <-c.cancelled:
		return "", false
	}
}

// ask sends a request to the client, with params if there are any.
func (s *server) ask(method, params string) <-chan json.RawMessage {
	answer := make(chan json.RawMessage, 1)
	s.mu.Lock()
	s.last++
	id := fmt.Sprintf(`"ask-%d"`, s.last)
	s.asked[id] = answer
	s.mu.Unlock()
	if params != "" {
		params = `,"params":` + params
	}
	s.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q%s}`, id, method, params))
	return answer
}

// tell sends a notification.
func (c *call) tell() (string, bool) {
	params := ""
	if c.Params != nil {
		params = `,"params":` + string(c.Params)
	}
	c.server.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q%s}`, c.Method, params))
	return "told", true
}

// progress reports progress as often as it is asked to, with the text that it answers.
func (c *call) progress() (string, bool) {
	quoted, err := json.Marshal(c.Text)
	if err != nil {
		panic(err) // strings always marshal
	}
	for i := range c.Count {
		c.server.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"message":%s}}`, c.token, i+1, quoted))
	}
	return c.Text, true
}

// write writes any lines in place of the answer; ID in them stands for the call's id.
func (c *call) write() (string, bool) {
	c.server.writeLine(strings.ReplaceAll(c.Text+string(c.Bytes), "ID", string(c.id)))
	return "", false
}

// fill answers with a line of so many bytes, its end not counted.
func (c *call) fill() (string, bool) {
	before, after := `{"jsonrpc":"2.0","id":`+string(c.id)+`,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	c.server.writeLine(before + strings.Repeat("x", c.Count-len(before)-len(after)) + after)
	return "", false
}

// publish tells every subscription of a change, and returns how many there are.
func (c *call) publish() (string, bool) {
	c.server.mu.Lock()
	listens := slices.Clone(c.server.listens)
	c.server.mu.Unlock()
	for _, id := range listens {
		c.server.publish("notifications/resources/list_changed", id)
	}
	return strconv.Itoa(len(listens)), true
}

// unlisten ends every subscription, as a modern stdio server does.
func (c *call) unlisten() (string, bool) {
	c.server.mu.Lock()
	listens := c.server.listens
	c.server.listens = nil
	c.server.mu.Unlock()
	for _, id := range listens {
		c.server.writeLine(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, id))
	}
	return "ended", true
}

// spawn starts a process that nothing but a signal ends, and returns its pid.
func (c *call) spawn() (string, bool) {
	self, err := os.Executable()
	if err != nil {
		return err.Error(), true
	}
	child := exec.Command(self, "-sleep")
	if err := child.Start(); err != nil {
		return err.Error(), true
	}
	go func() { _ = child.Wait() }() // so that it is no zombie of ours
	return strconv.Itoa(child.Process.Pid), true
}
