package bridge

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// spare is a process that was started before anyone asked for it. It has been told nothing
// of any user, and serves the one whom it is handed to, and nobody else.
type spare struct {
	bridge *Bridge
	conn   *backend.Conn
	// hello is what its initialize said, nil if it was sent none, and greeting its answer.
	hello    []byte
	greeting *message.Message
}

// spares are those of a bridge. All of it is under Bridge.mu.
type spares struct {
	idle     []*spare
	starting int
	hello    []byte // params of the last initialize; nil if there was none
	failures int    // in a row
	retry    *time.Timer
}

// maxHello is how many bytes of an initialize are kept for the next one.
const maxHello = 64 << 10

// maxRetry bounds the time between two starts of a server that fails to start.
const maxRetry = 30 * time.Second

// Prewarm keeps as many processes ready as the settings say, which are those of the
// configuration from now on. It returns at once.
func (b *Bridge) Prewarm(settings *Settings) {
	b.settings.Store(settings)
	b.mu.Lock()
	b.spares.failures = 0
	b.mu.Unlock()
	b.refill()
}

// refill starts what is missing, and ends what is too much. Spares leave a quarter of all
// processes to those who come.
func (b *Bridge) refill() {
	settings := b.settings.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	if settings.Prewarm == 0 && len(b.spares.idle) == 0 {
		return
	}
	for len(b.spares.idle) > settings.Prewarm {
		b.dismiss(0, "it is not needed any more")
	}
	if b.closed || b.spares.retry != nil {
		return
	}
	for len(b.spares.idle)+b.spares.starting < settings.Prewarm && b.processes < settings.MaxProcesses-settings.MaxProcesses/4 {
		b.spares.starting++
		b.processes++
		b.running.Add(1)
		go b.warm(settings, b.spares.hello)
	}
}

// dismiss ends a spare. b.mu is held.
func (b *Bridge) dismiss(i int, reason string) {
	s := b.spares.idle[i]
	b.spares.idle = slices.Delete(b.spares.idle, i, i+1)
	go s.conn.Close(reason)
}

// warm starts a spare, and takes it through initialize if it is known what that will say.
func (b *Bridge) warm(settings *Settings, hello []byte) {
	s := &spare{bridge: b}
	launch, err := settings.launch(nil)
	if err == nil {
		settings.complete(&launch.Process)
		s.conn = backend.New(backend.Config{Process: launch.Process, Logger: settings.Logger, Unclaimed: s.fromServer, Closed: s.closed})
		err = s.conn.Start()
	}
	if err != nil {
		b.discount()
		b.warmed(nil, err)
		return
	}
	if hello != nil {
		if err = s.initialize(settings, hello); err != nil {
			b.unlearn(hello)
		}
	}
	b.warmed(s, err)
}

func (s *spare) initialize(settings *Settings, hello []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), settings.StartTimeout)
	defer cancel()
	go func() {
		select {
		case <-s.bridge.stopping: // nobody will come for it
			cancel()
		case <-ctx.Done():
		}
	}()
	answered, err := s.conn.Ask(ctx, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":%q,"params":%s}`, message.MethodInitialize, hello))
	if err != nil {
		return err
	}
	if answered.IsError() {
		text, _ := answered.Error.String("message")
		return fmt.Errorf("it refused initialize: %s", text)
	}
	s.hello, s.greeting = hello, answered
	return nil
}

// unlearn forgets what the server does not take, so that nobody keeps it from being started
// for others.
func (b *Bridge) unlearn(hello []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes.Equal(b.spares.hello, hello) {
		b.spares.hello = nil
	}
}

// warmed enters a spare that is ready, or tries again after a while that grows.
func (b *Bridge) warmed(s *spare, err error) {
	b.mu.Lock()
	b.spares.starting--
	if err == nil && !b.closed && s.conn.Open() {
		b.spares.failures = 0
		b.spares.idle = append(b.spares.idle, s)
		b.mu.Unlock()
		b.refill() // it may be one too many by now
		return
	}
	if err != nil {
		b.settings.Load().Logger.Warn("a process could not be started in advance", "error", err)
	}
	b.tryLater()
	b.mu.Unlock()
	if s != nil {
		s.conn.Close("it could not be started in advance")
	}
}

// tryLater refills after a while. b.mu is held.
func (b *Bridge) tryLater() {
	if b.closed || b.spares.retry != nil {
		return
	}
	wait := min(time.Second<<min(b.spares.failures, 10), maxRetry)
	b.spares.failures++
	b.spares.retry = time.AfterFunc(wait, func() {
		b.mu.Lock()
		b.spares.retry = nil
		b.mu.Unlock()
		b.refill()
	})
}

// fromServer takes what a spare says before it has a client.
func (s *spare) fromServer(m *message.Message, _ []byte) {
	if m.Kind == message.Request {
		answerUnasked(s.conn, m)
	}
}

// closed is told when a spare is gone that was handed to nobody.
func (s *spare) closed(error) {
	b := s.bridge
	b.discount()
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.spares.idle, s); i >= 0 { // it has ended by itself
		b.spares.idle = slices.Delete(b.spares.idle, i, i+1)
		b.tryLater()
	}
}

// discount takes a process from the count of all.
func (b *Bridge) discount() {
	b.mu.Lock()
	b.processes--
	b.mu.Unlock()
	b.running.Done()
}

// takeSpare takes a spare out, nil if there is none that serves: for a session one that was
// taken through the same initialize, or through none, and for all else one that was not.
// b.mu is held.
func (b *Bridge) takeSpare(hello []byte) *spare {
	found, stale := -1, -1
	for i, s := range b.spares.idle {
		switch {
		case !s.conn.Takes(): // it is ending, and leaves by itself
		case s.hello == nil && found < 0:
			found = i
		case s.hello != nil && bytes.Equal(s.hello, hello):
			found = i
		case s.hello != nil:
			stale = i
		}
	}
	if hello != nil {
		b.spares.hello = hello
	}
	var taken *spare
	switch {
	case found >= 0:
		taken = b.spares.idle[found]
		b.spares.idle = slices.Delete(b.spares.idle, found, found+1)
	case stale >= 0: // one for each who comes, so that it pays to keep up with them
		b.dismiss(stale, "clients say something else now")
	}
	return taken
}

// helloOf is what an initialize says, for the next one that says the same; nil if that
// could not be told.
func helloOf(m *message.Message) []byte {
	raw := m.Params.Raw()
	if m.Meta.Present() || len(raw) == 0 || len(raw) > maxHello {
		return nil
	}
	return bytes.Clone(raw)
}

// dismissAll ends the spares of a bridge that has closed. b.mu is held.
func (b *Bridge) dismissAll() {
	for len(b.spares.idle) > 0 {
		b.dismiss(0, "the gateway closes")
	}
	if b.spares.retry != nil {
		b.spares.retry.Stop()
	}
}
