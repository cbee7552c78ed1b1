package integration_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSoak lets clients of both eras do whatever clients do, and servers what they do, while
// the configuration changes, and then holds that every answer was its own call's and that
// nothing is left: no process, no goroutine, no descriptor and no memory. How long it takes
// is [soakTime].
func TestSoak(t *testing.T) {
	t.Parallel()
	for _, per := range []string{"session", "user", "shared"} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			soak(t, per, soakTime(t))
		})
	}
}

// soaked is the configuration in its state number n: each state has other limits, and now
// and then another server, with which all sessions end.
func soaked(per string, n int) site {
	s := reloadable()
	s.stdio = []string{
		"per " + per, "idle_timeout 1s", "call_timeout 1s", "stop_timeout 1s", "max_processes 64",
		fmt.Sprintf("env GENERATION %d", n/6),
	}
	s.oauth = []string{"clock_skew 0s"}
	s.mcp = []string{fmt.Sprintf("limits {\n concurrent %d\n sessions 24\n}", 64+n)}
	return s
}

func soak(t *testing.T, per string, length time.Duration) {
	g := start(t, soaked(per, 0))
	g.dialAgain()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var workers []*worker
	for i := range 6 {
		user := []string{"alice", "bob", "carol"}[i%3]
		workers = append(workers, &worker{
			t: t, gateway: g, name: fmt.Sprintf("%s-%d", user, i), user: user,
			random: rand.New(rand.NewPCG(seed, uint64(i))),
			never:  filepath.Join(t.TempDir(), "never"),
		})
	}
	// Whatever is made once, such as threads and caches, is made by the first round.
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			for _, h := range habits {
				w.do(h)
			}
		})
	}
	all.Wait()
	before := g.idle(t)
	stop := time.Now().Add(length)
	for _, w := range workers {
		all.Go(func() {
			for time.Now().Before(stop) {
				w.do(habits[w.random.IntN(len(habits))])
			}
		})
	}
	reloads := 0
	for time.Now().Before(stop) {
		time.Sleep(700 * time.Millisecond)
		reloads++
		g.reload(t, soaked(per, reloads))
	}
	all.Wait()
	var answered, resets int64
	for _, w := range workers {
		answered, resets = answered+w.answered.Load(), resets+w.resets.Load()
	}
	t.Logf("%d calls were answered in %v with %d reloads; %d connections were reset", answered, length, reloads, resets)
	if answered < int64(length/time.Second) {
		t.Errorf("%d calls were answered in %v: that is no load", answered, length)
	}
	if most := int64(2 * reloads); resets > most {
		t.Errorf("%d connections were reset in %d reloads", resets, reloads)
	}
	g.returnsTo(t, before)
}

// worker is one user's client, which has a legacy session now and then.
type worker struct {
	t       *testing.T
	gateway *gateway
	name    string
	user    string
	random  *rand.Rand
	never   string // a file that never comes
	calls   int
	token   string
	session *peer // nil while there is none

	answered, resets atomic.Int64
}

// peer is a client of either era.
func (w *worker) peer() *peer {
	if w.calls%50 == 0 { // tokens are kept for minutes, and are not what is looked for
		w.token = w.gateway.token(w.t, w.user)
	}
	w.calls++
	token := w.token
	if w.random.IntN(2) == 0 {
		return w.gateway.modern(w.t, token)
	}
	if w.session != nil {
		return w.session.as(token)
	}
	p := w.gateway.anyone(w.t, token)
	a, err := p.try(http.MethodPost, initializeMessage(legacyVersion))
	p.session, p.version = a.header.Get("Mcp-Session-Id"), legacyVersion
	if w.judge("initialize", a, err, "") || p.session == "" {
		return w.gateway.modern(w.t, token)
	}
	_, err = p.try(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	w.failed("initialized", err)
	w.session = p
	return p
}

// mark is a text that no other call has.
func (w *worker) mark() string {
	w.calls++
	return fmt.Sprintf("%s %d", w.name, w.calls)
}

func (w *worker) do(do habit) { do(w, w.peer()) }

// failed reports an error of the transport, and counts those that a reload explains.
func (w *worker) failed(habit string, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		w.resets.Add(1)
	default:
		w.t.Errorf("%s: %s: %v", w.name, habit, err)
	}
	return true
}

// ended is what the gateway says of calls that got no answer of the server.
var ended = regexp.MustCompile(`process has ended|session has ended|took longer than|cancelled the call`)

// judge holds that an answer is the call's own, or one that docs/protocol.md knows where
// servers crash, hang and are replaced. It reports whether there is nothing more to expect.
func (w *worker) judge(habit string, a answer, err error, want string) bool {
	if w.failed(habit, err) {
		return true
	}
	code := a.reply(w.t).Error
	switch {
	case a.status == http.StatusOK && code == nil:
		if text, err := resultText(a); want != "" && (err != nil || text != want) {
			w.t.Errorf("%s: %s: the answer is %q, want %q", w.name, habit, text, want)
		}
		w.answered.Add(1)
		return false
	case a.status == http.StatusOK && code.Code == -32603 && ended.MatchString(code.Message):
	case a.status == http.StatusNotFound && code.Code == -32001: // the session went with its process
		w.session = nil
	case (a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests) && a.header.Get("Retry-After") != "":
		time.Sleep(20 * time.Millisecond)
	case a.status == http.StatusBadGateway && code.Code == -32603: // its process was replaced while it started
	default:
		w.t.Errorf("%s: %s: %d %s", w.name, habit, a.status, a.body)
	}
	return true
}

// level is what the gateway holds.
type level struct{ goroutines, files, heap int }

// idle waits until all sessions and processes have ended for want of use.
func (g *gateway) idle(t *testing.T) level {
	t.Helper()
	g.client.CloseIdleConnections()
	counted(t, g)
	return g.level(t)
}

// returnsTo waits until the gateway holds no more than it did. The slack is for what is made
// of each token and kept for minutes, and for connections that are being closed; what leaked
// with each call would be far more.
func (g *gateway) returnsTo(t *testing.T, before level) {
	t.Helper()
	most := level{before.goroutines + 12, before.files + 12, before.heap + 16<<20}
	g.idle(t)
	var now level
	deadline := time.Now().Add(patience)
	for {
		now = g.level(t)
		if now.goroutines <= most.goroutines && now.files <= most.files && now.heap <= most.heap {
			t.Logf("before %+v, after %+v", before, now)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway holds %+v, and held %+v before", now, before)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (g *gateway) level(t *testing.T) level {
	t.Helper()
	heap := g.profile(t, "heap?debug=1&gc=1", `# HeapInuse = (\d+)`)
	return level{g.profile(t, "goroutine?debug=1", `total (\d+)`), g.files(t), heap}
}

// profile takes a number out of what Caddy's admin endpoint says of the program.
func (g *gateway) profile(t *testing.T, name, pattern string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/debug/pprof/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, text := g.askAdmin(t, request)
	match := regexp.MustCompile(pattern).FindSubmatch(text)
	if match == nil {
		t.Fatalf("%s says nothing like %s: %d %.200s", name, pattern, status, text)
	}
	n, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
