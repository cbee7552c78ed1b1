package identitytest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// loadChecks are about many calls at once, and about the end.
func loadChecks() []check {
	return []check{
		{"concurrent-users", "calls of two users at once are not mixed", []string{otherUser}, keepsCallsApart},
		{"clean-end", "the process ends at the end of its input; else a warning", []string{handshake}, endsCleanly},
	}
}

// pair are two users whose calls alternate. All markers of one begin with a text that
// no other has.
type pair struct {
	t     *trial
	c     *conversation
	users [2]user
	own   [2]string // how the markers begin
	first [2]values
}

func keepsCallsApart(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	p := &pair{t: t, c: c, users: [2]user{t.user("alice"), t.user("bob")}, own: [2]string{unique(), unique()}}
	for i := range p.users {
		p.first[i] = values{marker: p.own[i] + "n0", name: p.own[i] + "m0"}
		said, err := c.do(ctx, t.write(p.first[i], p.users[i].stamp()))
		if err != nil {
			return err
		}
		if said.refusal != "" {
			return found("the write before the many was refused: %s", said.refusal)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range t.InFlight {
		workers.Go(func() {
			for i := range numbers {
				if err := p.call(ctx, i); err != nil && ctx.Err() == nil {
					cancel(found("call %d of %d: %w", i, t.Calls, err))
				}
			}
		})
	}
	for i := 1; i <= t.Calls && ctx.Err() == nil; i++ {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	return context.Cause(ctx)
}

// call makes one of the calls: they alternate between the users, and each fourth of a
// user's writes.
func (p *pair) call(ctx context.Context, i int) error {
	who := i % 2
	own, other, stamp := p.own[who], p.own[1-who], p.users[who].stamp()
	reads := i/2%4 != 0
	m := p.t.read(p.first[who], stamp)
	if !reads {
		m = p.t.write(values{fmt.Sprintf("%sn%d", own, i), fmt.Sprintf("%sm%d", own, i)}, stamp)
	}
	said, err := p.c.do(ctx, m)
	switch {
	case err != nil:
		return err
	case bytes.Contains(said.raw, []byte(other+"n")):
		return fmt.Errorf("a user sees what another wrote: the server mixes up calls that are in flight together")
	case said.refusal != "":
		return fmt.Errorf("refused: %s", said.refusal)
	case reads && !bytes.Contains(said.raw, []byte(own+"n")):
		return fmt.Errorf("a user does not see what they wrote: %s", said.text())
	}
	return nil
}

func endsCleanly(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	t.open = nil // it is ended here
	step := c.close()
	switch {
	case step != "":
		return warning(fmt.Sprintf("it did not end within %v of the end of its input: %s was needed", t.StopTimeout, step))
	case c.server.err != nil:
		return warning("at the end of its input it ended with " + c.server.status())
	case c.server.stray != "":
		return warning(fmt.Sprintf("it wrote to standard output what is no message: %q", c.server.stray))
	}
	return nil
}
