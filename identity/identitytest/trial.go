package identitytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// found is the error of a check that found something.
func found(format string, args ...any) error { return fmt.Errorf(format, args...) }

// trial is one run of a check, with processes and users of its own.
type trial struct {
	Config
	era  Era
	open []*conversation
}

// start starts a process and takes it through the handshake.
func (t *trial) start(ctx context.Context, env ...string) (*conversation, error) {
	v, err := converse(ctx, t.Config, t.era, env...)
	if err != nil {
		return nil, fmt.Errorf("another process did not start: %w", err)
	}
	t.open = append(t.open, v)
	return v, nil
}

// end ends what was started.
func (t *trial) end() {
	for _, v := range t.open {
		v.close()
	}
	t.open = nil
}

func (t *trial) user(name string) user { return newUser(name, t.Scopes) }

// newValues are for a write and the reads that look for it.
func newValues() values { return values{marker: unique(), name: unique()} }

// request is a call with the identity in its place.
func (t *trial) request(c Call, v values, stamp []member) message {
	params, err := c.members(v)
	if err != nil {
		panic("identitytest: " + err.Error()) // check has read them
	}
	return message{method: c.method(), params: params, meta: stamp}
}

func (t *trial) write(v values, stamp []member) message { return t.request(t.Write, v, stamp) }
func (t *trial) read(v values, stamp []member) message  { return t.request(t.Read, v, stamp) }

// writes has the user write, which the server must do.
func (t *trial) writes(ctx context.Context, c *conversation, u user) (values, error) {
	v := newValues()
	said, err := c.do(ctx, t.write(v, u.stamp()))
	switch {
	case err != nil:
		return v, fmt.Errorf("a write: %w", err)
	case said.refusal != "":
		return v, fmt.Errorf("a write with a valid identity was refused: %s", said.refusal)
	}
	return v, nil
}

// served starts a process in which a user has written.
func (t *trial) served(ctx context.Context) (c *conversation, alice user, wrote values, err error) {
	alice = t.user("alice")
	c, wrote, err = t.servedAs(ctx, alice)
	return c, alice, wrote, err
}

// servedAs is served for a user who is known before.
func (t *trial) servedAs(ctx context.Context, u user, env ...string) (c *conversation, wrote values, err error) {
	if c, err = t.start(ctx, env...); err != nil {
		return nil, values{}, err
	}
	wrote, err = t.writes(ctx, c, u)
	return c, wrote, err
}

// sees says whether the user's read shows what was written with the values.
func (t *trial) sees(ctx context.Context, c *conversation, u user, v values) (bool, error) {
	said, err := c.do(ctx, t.read(v, u.stamp()))
	if err != nil {
		return false, fmt.Errorf("a read: %w", err)
	}
	return shows(said, v), nil
}

// mustSee holds that a user sees what they wrote.
func (t *trial) mustSee(ctx context.Context, c *conversation, u user, v values, when string) error {
	said, err := c.do(ctx, t.read(v, u.stamp()))
	switch {
	case err != nil:
		return fmt.Errorf("a read %s: %w", when, err)
	case said.refusal != "":
		return fmt.Errorf("a read %s was refused: %s", when, said.refusal)
	case !shows(said, v):
		return fmt.Errorf("a user does not see what they wrote, %s: %s", when, said.text())
	}
	return nil
}

// mustNotSee holds that a user does not see what another wrote.
func (t *trial) mustNotSee(ctx context.Context, c *conversation, u user, v values, finding string) error {
	seen, err := t.sees(ctx, c, u, v)
	if err == nil && seen {
		return errors.New(finding)
	}
	return err
}

// shows says whether the answer reveals what was written.
func shows(said answer, v values) bool { return bytes.Contains(said.raw, []byte(v.marker)) }

// mustRefuse holds that a message is refused.
func (t *trial) mustRefuse(ctx context.Context, c *conversation, m message, what string) error {
	said, err := c.do(ctx, m)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case said.refusal == "":
		return fmt.Errorf("%s was answered: %s", what, said.text())
	}
	return nil
}
