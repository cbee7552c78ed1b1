package identitytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The versions that the kit asks for, one of each era.
const (
	legacyVersion = "2025-11-25"
	modernVersion = "2026-07-28"
)

const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaClient       = "io.modelcontextprotocol/clientInfo"
)

// clientInfo is who the kit says it is.
var clientInfo = map[string]string{"name": "identitytest", "version": "1"}

// errSilent means that an answer did not come in time.
var errSilent = errors.New("no answer")

// conversation is with one process, in one era. Its owner calls close.
type conversation struct {
	era     Era
	version string
	timeout time.Duration
	server  *server

	mu      sync.Mutex
	last    int64
	pending map[int64]chan []byte
}

// converse starts a process and takes it through the handshake of the era, which
// carries no identity, as the gateway's own does not. The error wraps errSilent or
// errGone, or is an errEra, if the server does not speak it.
func converse(ctx context.Context, c Config, era Era, env ...string) (*conversation, error) {
	v := &conversation{era: era, timeout: c.Timeout, pending: make(map[int64]chan []byte)}
	// Lines may come before startServer returns, and are answered through the server.
	v.mu.Lock()
	s, err := startServer(c, env, v.hear)
	v.server = s
	v.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if era == Legacy {
		err = v.initialize(ctx)
	} else {
		err = v.discover(ctx)
	}
	if err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// errEra means that the server is no server of the era.
type errEra string

func (e errEra) Error() string { return string(e) }

func (v *conversation) initialize(ctx context.Context) error {
	said, err := v.do(ctx, message{method: "initialize", params: map[string]json.RawMessage{
		"protocolVersion": json.RawMessage(quote(legacyVersion)),
		"capabilities":    json.RawMessage(`{}`),
		"clientInfo":      json.RawMessage(jsonOf(clientInfo)),
	}})
	if err != nil {
		return err
	}
	var result struct{ ProtocolVersion string }
	if said.refusal != "" || json.Unmarshal(said.result, &result) != nil || result.ProtocolVersion == "" {
		return errEra("initialize was answered with " + said.text())
	}
	v.version = result.ProtocolVersion
	return v.tell(message{method: "notifications/initialized"})
}

func (v *conversation) discover(ctx context.Context) error {
	said, err := v.do(ctx, message{method: "server/discover"})
	if err != nil {
		return err
	}
	var result struct{ SupportedVersions []string }
	if said.refusal != "" || json.Unmarshal(said.result, &result) != nil || !slices.Contains(result.SupportedVersions, modernVersion) {
		return errEra("server/discover was answered with " + said.text())
	}
	v.version = modernVersion
	return nil
}

// text is the answer for a report.
func (a answer) text() string {
	if a.refusal != "" {
		return a.refusal
	}
	return shortened(string(a.result))
}

// complete adds what each message of the era has.
func (v *conversation) complete(m message) message {
	if v.era == Modern {
		m.meta = append([]member{
			field(metaVersion, modernVersion), field(metaCapabilities, struct{}{}), field(metaClient, clientInfo),
		}, m.meta...)
	}
	return m
}

// do sends a request and returns the answer. The error says that there was none.
func (v *conversation) do(ctx context.Context, m message) (answer, error) {
	heard := make(chan []byte, 1)
	v.mu.Lock()
	v.last++
	id := v.last
	v.pending[id] = heard
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		delete(v.pending, id)
		v.mu.Unlock()
	}()
	if err := v.server.send(v.complete(m).line(id)); err != nil {
		return answer{}, v.gone()
	}
	timer := time.NewTimer(v.timeout)
	defer timer.Stop()
	select {
	case line := <-heard:
		return readAnswer(line)
	case <-v.server.done:
		select {
		case line := <-heard: // the last thing it said
			return readAnswer(line)
		default:
			return answer{}, v.gone()
		}
	case <-timer.C:
		return answer{}, fmt.Errorf("%w within %v", errSilent, v.timeout)
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// tell sends a notification.
func (v *conversation) tell(m message) error {
	if err := v.server.send(v.complete(m).line(0)); err != nil {
		return v.gone()
	}
	return nil
}

// gone is the error for a server that has ended, or takes no more.
func (v *conversation) gone() error {
	select {
	case <-v.server.done:
		return fmt.Errorf("%w: %s", errGone, v.server.status())
	case <-time.After(v.timeout): // it closed its input
		return errGone
	}
}

// hear takes a line of the server.
func (v *conversation) hear(line []byte) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if json.Unmarshal(line, &m) != nil {
		return // a batch, or broken: the call it may have answered runs out of time
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if m.Method != "" {
		if m.ID != nil {
			v.answer(m.ID, m.Method)
		}
		return
	}
	var id int64
	if string(m.ID) == "null" || m.ID == nil {
		// What could not be read is answered without an id: that must be the only call.
		if len(v.pending) != 1 {
			return
		}
		for only := range v.pending {
			id = only
		}
	} else if json.Unmarshal(m.ID, &id) != nil {
		return
	}
	if heard := v.pending[id]; heard != nil {
		select {
		case heard <- line:
		default: // it is answered already
		}
	}
}

// answer answers a request of the server: the kit has declared no capabilities, as the
// gateway where users share a process. It must not wait for the server, from which
// the next line is read only afterwards.
func (v *conversation) answer(id json.RawMessage, method string) {
	outcome := field("error", map[string]any{"code": -32601, "message": method + " is not offered to servers"})
	if method == "ping" {
		outcome = field("result", struct{}{})
	}
	line := []byte(object(field("jsonrpc", "2.0"), field("id", id), outcome))
	go func() { _ = v.server.send(line) }() // whether it has ended is seen by the calls
}

// close ends the process and says which step of the ladder was needed.
func (v *conversation) close() (step string) { return v.server.stop() }
