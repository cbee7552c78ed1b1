package identitytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Defaults of [Config].
const (
	DefaultTimeout     = 30 * time.Second
	DefaultStopTimeout = 5 * time.Second
	DefaultCalls       = 2000
	DefaultInFlight    = 16
)

// Placeholders in the params of a [Call].
const (
	// MarkerPlaceholder becomes a text that nothing else contains: who sees it in an
	// answer sees what the user of the write wrote.
	MarkerPlaceholder = "{marker}"
	// NamePlaceholder becomes a text of which the same holds, for servers that keep
	// things by a name or key. An answer may repeat it.
	NamePlaceholder = "{name}"
)

// Call is a request that the kit makes.
type Call struct {
	// Method is "tools/call" if empty.
	Method string
	// Params is a JSON object without _meta, with placeholders within its strings, such
	// as {"name":"add_note","arguments":{"text":"{marker}"}}.
	Params string
}

// Config says which server is tried, and with which calls.
type Config struct {
	// Command and Args are the server, looked up as the gateway does. No shell runs.
	Command string
	Args    []string
	// Env holds "NAME=value" pairs. As behind the gateway the server gets these, PATH,
	// HOME, LANG, TZ, proxy and CA variables and a TMPDIR of its own, and no others.
	Env []string
	// Dir is the working folder; "" is an empty temporary one, a new one for each
	// process.
	Dir string

	// Write keeps something for the user who calls; its params hold MarkerPlaceholder.
	// It must not need an earlier call.
	Write Call
	// Read answers with what the user wrote last, or with all that the user wrote. Its
	// params must not hold MarkerPlaceholder.
	Read Call

	// Scopes are those that the tried users have.
	Scopes []string
	// Arguments names further arguments that some server may take for a user, beside
	// the usual names and those that the tools' schemas have.
	Arguments []string
	// Skip names checks that are not to be made ([Checks]).
	Skip []string
	// Eras are those to try: [Legacy], [Modern]. Default both; a server may speak one.
	Eras []Era

	// Calls is how many calls two users make at once. Default 2000.
	Calls int
	// InFlight is how many of them wait for their answer at a time. Default 16.
	InFlight int
	// Timeout is the time for one answer. Default 30 s.
	Timeout time.Duration
	// StopTimeout is the time for each step of ending the server: end of input,
	// SIGTERM, SIGKILL. Default 5 s.
	StopTimeout time.Duration
	// Stderr gets what the server writes to its standard error. Default: nobody.
	Stderr io.Writer
}

// Era is a generation of the protocol.
type Era string

const (
	// Legacy is 2025-11-25 and before: a process is taken through initialize.
	Legacy Era = "legacy"
	// Modern is 2026-07-28: no handshake, and the version in each request's _meta.
	Modern Era = "modern"
)

func (c Config) withDefaults() Config {
	if len(c.Eras) == 0 {
		c.Eras = []Era{Legacy, Modern}
	}
	c.Calls = positive(c.Calls, DefaultCalls)
	c.InFlight = positive(c.InFlight, DefaultInFlight)
	c.Timeout = positive(c.Timeout, DefaultTimeout)
	c.StopTimeout = positive(c.StopTimeout, DefaultStopTimeout)
	if c.Stderr == nil {
		c.Stderr = io.Discard
	}
	c.Stderr = &oneAtATime{to: c.Stderr}
	return c
}

func positive[T int | time.Duration](v, fallback T) T {
	if v > 0 {
		return v
	}
	return fallback
}

// check says what is wrong with the settings.
func (c Config) check() error {
	if c.Command == "" {
		return errors.New("no command given")
	}
	for _, skipped := range c.Skip {
		if !slices.ContainsFunc(checks, func(k check) bool { return k.name == skipped }) {
			return fmt.Errorf("there is no check %q to skip", skipped)
		}
	}
	for _, era := range c.Eras {
		if era != Legacy && era != Modern {
			return fmt.Errorf("there is no era %q: write legacy or modern", era)
		}
	}
	if _, err := c.Write.members(values{}); err != nil {
		return fmt.Errorf("the write: %w", err)
	}
	if _, err := c.Read.members(values{}); err != nil {
		return fmt.Errorf("the read: %w", err)
	}
	if !strings.Contains(c.Write.Params, MarkerPlaceholder) {
		return fmt.Errorf("the write: its params hold no %s, by which a read is known", MarkerPlaceholder)
	}
	if strings.Contains(c.Read.Params, MarkerPlaceholder) {
		return fmt.Errorf("the read: its params hold %s, which an answer might repeat: write %s where a name is needed",
			MarkerPlaceholder, NamePlaceholder)
	}
	return nil
}

// values stand in for the placeholders.
type values struct{ marker, name string }

func (c Call) method() string {
	if c.Method == "" {
		return "tools/call"
	}
	return c.Method
}

// members are the params with the placeholders filled in.
func (c Call) members(v values) (map[string]json.RawMessage, error) {
	text := strings.NewReplacer(MarkerPlaceholder, v.marker, NamePlaceholder, v.name).Replace(c.Params)
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return nil, fmt.Errorf("its params are no JSON object: %w", err)
	}
	if members == nil {
		return nil, errors.New("its params are null: write an object")
	}
	if _, ok := members["_meta"]; ok {
		return nil, errors.New("its params hold _meta, which is the kit's to write")
	}
	for name, value := range members {
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return nil, err
		}
		members[name] = compact.Bytes() // a message is one line
	}
	return members, nil
}
