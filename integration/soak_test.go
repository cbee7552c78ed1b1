package integration_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
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

// soaked is the configuration in its state number n: each state has other limits, every other
// one processes that wait for the next comer, and now and then there is another server, which
// speaks versions of both eras, or of one.
func soaked(per string, n int) site {
	born := n / generation // of the server
	eras := []string{"both", "legacy", "modern"}
	first := slices.Index([]string{"session", "user", "shared"}, per)
	s := reloadable("-era", eras[(first+born)%len(eras)])
	s.stdio = []string{
		"per " + per, "idle_timeout 1s", "call_timeout 1s", "start_timeout 8s", "stop_timeout 1s", "max_processes 64",
		fmt.Sprintf("env GENERATION %d", born),
	}
	s.oauth = []string{"clock_skew 0s"}
	s.mcp = []string{fmt.Sprintf("limits {\n concurrent %d\n sessions 24\n}", 64+n)}
	if born%2 == 1 { // the processes of the others are told of their user when they start
		s.mcp = append(s.mcp, "identity meta")
		if n%2 == 1 {
			s.stdio = append(s.stdio, "prewarm 2")
		}
	}
	return s
}

// soaking is one gateway and what is known of it.
type soaking struct {
	*gateway
	ways    *ways
	per     string
	state   int
	changed atomic.Int64 // when the server was last replaced, or is to be, in nanoseconds
}

// goesTo puts the configuration into another state.
func (g *soaking) goesTo(t *testing.T, n int) {
	t.Helper()
	replaces := n/generation != g.state/generation
	if replaces {
		g.changed.Store(math.MaxInt64)
	}
	g.reload(t, soaked(g.per, n))
	g.state = n
	if replaces {
		g.ways.renew()
		g.changed.Store(time.Now().UnixNano())
	}
}

// replacedSince says whether the server was replaced after that time. What was begun later has
// come to the new one.
func (g *soaking) replacedSince(began time.Time) bool {
	return g.changed.Load() > began.UnixNano()
}

// ways are those of clients to the gateway, whose connections are served by the configuration in
// which they were made until it closes them, which may take it a while.
type ways struct {
	now atomic.Pointer[http.Transport]
}

func (w *ways) RoundTrip(r *http.Request) (*http.Response, error) { return w.now.Load().RoundTrip(r) }
func (w *ways) CloseIdleConnections()                             { w.now.Load().CloseIdleConnections() }

// renew has requests take other connections from now on. The gateway closes those before: here one
// might be closed that a request has just been given.
func (w *ways) renew() { w.now.Store(w.now.Load().Clone()) }

func soak(t *testing.T, per string, length time.Duration) {
	g := &soaking{gateway: start(t, soaked(per, 0)), per: per, ways: new(ways)}
	g.dialAgain()
	g.ways.now.Store(g.client.Transport.(*http.Transport))
	g.client.Transport = g.ways
	workers := g.workers(t)
	habits := append(slices.Clone(habits), further...)
	// Whatever is made once, such as threads and caches, is made by the first round.
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			for _, h := range habits {
				w.do(h)
			}
			w.comesBack(0)
		})
	}
	all.Wait()
	g.rests(t, workers)
	before := g.idle(t)
	stop := time.Now().Add(length)
	var ending atomic.Bool
	defer all.Wait() // before the gateway ends, whatever happens here
	defer ending.Store(true)
	for _, w := range workers {
		all.Go(func() {
			for !ending.Load() {
				w.do(habits[w.random.IntN(len(habits))])
			}
			w.comesBack(0)
		})
	}
	reloads := 0
	enough := int64(length / time.Second)
	// A machine that is busy has more time for the same load.
	for time.Now().Before(stop) || !totalOf(workers).isLoad(enough) && time.Now().Before(stop.Add(patience)) {
		time.Sleep(700 * time.Millisecond)
		reloads++
		g.goesTo(t, g.state+1)
	}
	ending.Store(true)
	all.Wait()
	g.rests(t, workers)
	n := totalOf(workers)
	t.Logf("%d calls were answered in %v with %d reloads, and %d questions, %d of them refused; %d connections were reset", n.answered, length, reloads, n.asked, n.refused, n.resets)
	if !n.isLoad(enough) {
		t.Errorf("%d calls and %d questions were answered in %v: that is no load", n.answered, n.asked-n.refused, length)
	}
	if most := int64(2 * reloads); n.resets > most {
		t.Errorf("%d connections were reset in %d reloads", n.resets, reloads)
	}
	g.returnsTo(t, before)
}

// workers are the clients of three users.
func (g *soaking) workers(t *testing.T) (all []*worker) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i := range 6 {
		user := []string{"alice", "bob", "carol"}[i%3]
		all = append(all, &worker{
			t: t, gateway: g, name: fmt.Sprintf("%s-%d", user, i), user: user,
			random: rand.New(rand.NewPCG(seed, uint64(i))),
			never:  filepath.Join(t.TempDir(), "never"),
		})
	}
	return all
}

// total is what the clients have seen together.
type total struct{ answered, asked, refused, resets int64 }

func totalOf(workers []*worker) (n total) {
	for _, w := range workers {
		n.answered, n.asked = n.answered+w.answered.Load(), n.asked+w.asked.Load()
		n.refused, n.resets = n.refused+w.refused.Load(), n.resets+w.resets.Load()
	}
	return n
}

// isLoad says whether so many calls were answered, and a quarter as many questions.
func (n total) isLoad(enough int64) bool {
	return n.answered >= enough && n.asked-n.refused >= enough/4
}

// rests waits until nothing is left but the calls that wait in vain for their clients, which
// they do for minutes, and ends these with their server.
func (g *soaking) rests(t *testing.T, workers []*worker) {
	t.Helper()
	if g.state%2 == 1 {
		g.goesTo(t, g.state+1) // in which no process waits for the next comer
	}
	g.client.CloseIdleConnections()
	vain := 0
	for _, w := range workers {
		vain += w.unknownSince(time.Unix(0, g.changed.Load()).Add(-time.Second))
	}
	await(t, "the end of all processes that nobody uses", func() bool { return len(g.processes(t)) <= vain })
	born := g.state/generation + 1
	g.goesTo(t, (born+born%2)*generation) // neither does one there
}

// worker is one user's client, which has a legacy session now and then.
type worker struct {
	t       *testing.T
	gateway *soaking
	name    string
	user    string
	random  *rand.Rand
	never   string // a file that never comes
	calls   int
	token   string
	session *peer // nil while there is none
	parked  []parked
	lost    []time.Time // when a call was left that may wait for it, and nobody knows

	answered, asked, refused, resets atomic.Int64
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
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		w.resets.Add(1)
	default:
		w.t.Errorf("%s: %s: %v", w.name, habit, err)
	}
	return true
}

// ended is what the gateway says of calls that got no answer of the server.
var ended = regexp.MustCompile(`process has ended|session has ended|took longer than|cancelled the call`)

// belated is what else it says in a stream, where the call was refused so late that its status was
// sent: the server was silent for as long as it is on a machine that is busy.
var belated = regexp.MustCompile(`failed to start|All server processes are|process has just ended|does not keep up|has just been replaced|has just changed|did not answer in time|Too many`)

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
	case a.status == http.StatusOK && code.Code == -32603 && (ended.MatchString(code.Message) || a.isStream() && belated.MatchString(code.Message)):
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
