package identitytest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/snapgate/snapgate/identity"
)

// faultVariable makes this test's binary a server with the fault that is its value, or
// with none.
const faultVariable = "IDENTITYTEST_FAULT"

// faultyServer keeps notes by user, as it should be, save for one fault.
type faultyServer struct {
	fault string

	mu      sync.Mutex // of what follows, and of standard output
	notes   map[string][]string
	kept    *identity.Identity // of an earlier call
	current string             // the user of the call that came last
}

// call is a message as the server reads it.
type call struct {
	ID       json.RawMessage
	Method   string
	Params   json.RawMessage
	envelope map[string]json.RawMessage
	meta     map[string]json.RawMessage
	tool     struct {
		Name      string
		Arguments map[string]any
	}
}

func serveFaulty(fault string) int {
	switch fault {
	case "reads-nothing":
		time.Sleep(time.Hour)
	case "never-ends":
		signal.Ignore(syscall.SIGTERM)
	}
	s := &faultyServer{fault: fault, notes: make(map[string][]string)}
	beginFault(fault)
	if fault == "chatters" {
		fmt.Println("ready to serve")
	}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		s.take(line)
	}
	switch fault {
	case "never-ends":
		time.Sleep(time.Hour)
	case "ends-badly":
		fmt.Fprintln(os.Stderr, "could not save")
		return 4
	}
	return 0
}

func (s *faultyServer) take(line []byte) {
	var c call
	if json.Unmarshal(line, &c.envelope) != nil {
		return
	}
	c.ID, c.Params = c.envelope["id"], c.envelope["params"]
	_ = json.Unmarshal(c.envelope["method"], &c.Method)
	_ = json.Unmarshal(c.Params, &c.tool)
	var params map[string]json.RawMessage
	_ = json.Unmarshal(c.Params, &params)
	_ = json.Unmarshal(params["_meta"], &c.meta)
	switch {
	case s.fault == "crashes-at-huge-claims" && len(c.Params) > hugeClaims/2:
		fmt.Fprintln(os.Stderr, "out of memory")
		os.Exit(3)
	case c.ID == nil:
		if s.fault == "crashes-at-bare-notifications" && c.meta[identity.MetaKey] == nil && c.Method != "notifications/initialized" {
			os.Exit(3)
		}
	case c.Method == "tools/call" && s.fault == "mixes-calls":
		if user, err := s.caller(c); err == nil {
			s.mu.Lock()
			s.current = user
			s.mu.Unlock()
		}
		go func() {
			time.Sleep(time.Millisecond) // other calls come meanwhile
			s.reply(c)
		}()
	default:
		s.reply(c)
	}
}

func (s *faultyServer) reply(c call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, err := s.result(c)
	if result == nil && err == nil {
		return
	}
	said := map[string]any{"jsonrpc": "2.0", "id": c.ID, "result": result}
	if err != nil {
		said = map[string]any{"jsonrpc": "2.0", "id": c.ID, "error": map[string]any{"code": -32602, "message": err.Error()}}
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		os.Exit(5)
	}
}

type reply map[string]any

func (s *faultyServer) result(c call) (reply, error) {
	if s.fault == "wants-identity-at-once" && c.meta[identity.MetaKey] == nil {
		return nil, identity.ErrMissing
	}
	switch c.Method {
	case "initialize":
		if s.fault != "modern-only" {
			return reply{"protocolVersion": legacyVersion, "capabilities": reply{"tools": reply{}}, "serverInfo": clientInfo}, nil
		}
	case "server/discover":
		if s.fault != "legacy-only" {
			return reply{"resultType": "complete", "supportedVersions": []string{modernVersion}, "capabilities": reply{"tools": reply{}}}, nil
		}
	case "tools/list":
		schema := reply{"type": "object", "properties": reply{"text": reply{"type": "string"}, "notebook": reply{"type": "string"}}}
		return reply{"resultType": "complete", "tools": []reply{
			{"name": "add_note", "inputSchema": schema}, {"name": "list_notes", "inputSchema": schema}}}, nil
	case "tools/call":
		return s.useTool(c)
	}
	return nil, errors.New("there is no " + c.Method)
}

func (s *faultyServer) useTool(c call) (reply, error) {
	user, err := s.caller(c)
	if err != nil {
		return nil, err
	}
	if s.fault == "mixes-calls" {
		user = s.current
	}
	text := "kept"
	switch c.tool.Name {
	case "add_note":
		if s.fault != "loses-writes" {
			s.notes[user] = append(s.notes[user], fmt.Sprint(c.tool.Arguments["text"]))
		}
	case "list_notes":
		if s.fault == "hangs-in-calls" {
			fmt.Fprintln(os.Stderr, "hangs now")
			return nil, nil
		}
		text = strings.Join(s.notes[user], "\n")
	default:
		return nil, errors.New("there is no " + c.tool.Name)
	}
	return reply{"resultType": "complete", "content": []reply{{"type": "text", "text": text}}}, nil
}

// caller is the key of whose notes are meant.
func (s *faultyServer) caller(c call) (string, error) {
	id, err := s.identity(c)
	if user, ok := s.misled(c, id); ok {
		return user, nil
	}
	if err != nil {
		return "", err
	}
	if s.fault != "serves-expired" && id.Expired(time.Now().Add(-2*time.Minute)) {
		return "", errors.New("expired")
	}
	switch s.fault {
	case "forgets-issuer":
		return id.Subject, nil
	case "keys-by-client":
		return id.User + id.ClientID, nil
	}
	return id.User, nil
}

// identity reads it from the message, or from where the fault finds one.
func (s *faultyServer) identity(c call) (*identity.Identity, error) {
	id, err := identity.FromParams(c.Params)
	switch s.fault {
	case "caches-first-identity":
		if s.kept == nil {
			s.kept = id
		}
		if s.kept != nil {
			return s.kept, nil
		}
	case "keeps-last-identity":
		if id != nil {
			s.kept = id
		}
		if errors.Is(err, identity.ErrMissing) && s.kept != nil {
			return s.kept, nil
		}
	case "folds-keys":
		// encoding/json folds the names of struct fields, and the last one counts.
		var meta struct {
			Identity json.RawMessage `json:"io.github.snapgate/identity"`
		}
		if raw, e := json.Marshal(c.meta); e == nil && json.Unmarshal(raw, &meta) == nil && meta.Identity != nil {
			return identity.Parse(meta.Identity)
		}
	case "folds-meta":
		var params struct {
			Meta json.RawMessage `json:"_meta"`
		}
		if json.Unmarshal(c.Params, &params) == nil {
			return identity.FromParams([]byte(object(member{`"_meta"`, string(params.Meta)})))
		}
	case "trusts-params", "trusts-the-envelope":
		return s.identityBeside(c, id, err)
	case "believes-user-key":
		var plain identity.Identity
		if raw := c.meta[identity.MetaKey]; raw != nil && json.Unmarshal(raw, &plain) == nil &&
			plain.Issuer != "" && plain.Subject != "" && plain.User != "" {
			return &plain, nil
		}
	case "coerces":
		var text string
		if json.Unmarshal(c.meta[identity.MetaKey], &text) == nil && text != "" {
			return identity.Parse([]byte(text))
		}
	}
	return id, err
}

func (s *faultyServer) identityBeside(c call, id *identity.Identity, err error) (*identity.Identity, error) {
	members := c.envelope
	if s.fault == "trusts-params" {
		_ = json.Unmarshal(c.Params, &members)
	}
	if other, e := identity.Parse(members["identity"]); e == nil {
		return other, nil
	}
	return id, err
}

// misled says for whom the fault takes the caller, if it does. id is nil if the
// message has no valid identity.
func (s *faultyServer) misled(c call, id *identity.Identity) (string, bool) {
	named := func(value any) (string, bool) {
		text, ok := value.(string)
		return text, ok && text != ""
	}
	user, environment := c.tool.Arguments["user"], os.Getenv(identity.EnvUser)
	switch {
	case s.fault == "ignores-identity":
		return "everyone", true
	case s.fault == "serves-nobody" && c.meta[identity.MetaKey] == nil:
		return "nobody", true
	case s.fault == "trusts-environment" && id != nil, s.fault == "trusts-environment-alone" && id == nil && c.meta[identity.MetaKey] == nil:
		return named(environment)
	case s.fault == "trusts-arguments" && id != nil, s.fault == "trusts-arguments-without-identity" && id == nil,
		s.fault == "writes-for-arguments" && id != nil && c.tool.Name == "add_note":
		return named(user)
	case s.fault == "trusts-a-declared-argument" && id != nil:
		return named(c.tool.Arguments["notebook"])
	case s.fault == "trusts-other-meta" && id != nil:
		var text string
		_ = json.Unmarshal(c.meta["user"], &text)
		return named(text)
	}
	return "", false
}
