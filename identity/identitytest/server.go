package identitytest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// maxLine is the longest line that the gateway takes from a server, in bytes.
const maxLine = 16 << 20

// drainTime bounds how long output is awaited once the last member of the group was
// killed: a descendant that left the group may hold the pipes for ever.
const drainTime = time.Second

// errGone means that the server takes no more messages.
var errGone = errors.New("the server has ended")

// server is a process that leads a group of its own. Its owner calls stop, always.
type server struct {
	cmd     *exec.Cmd
	stdin   *os.File
	stdout  *os.File
	stderr  *os.File
	temp    string
	patient time.Duration // a step of the ladder

	writing sync.Once // of closing queue
	mu      sync.Mutex
	closed  bool
	queue   chan []byte

	asked        chan struct{} // closed when stop was called
	outputsEnded chan struct{}
	hurry        chan struct{} // closed when nothing is waited for any more
	done         chan struct{}
	readers      sync.WaitGroup
	tail         *tail // of standard error

	reaping sync.Mutex
	reaped  bool // the group's number may be another's

	// What is valid once done is closed.
	err   error
	stray string // the first line on standard output that is no JSON
	fault string // what it was killed for
}

// startServer starts a process; onLine gets what it writes, line by line.
func startServer(c Config, env []string, onLine func([]byte)) (*server, error) {
	path, err := exec.LookPath(c.Command)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if c.Dir != "" { // the system's own error would name the command instead
		if info, err := os.Stat(c.Dir); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, fmt.Errorf("%s is no folder", c.Dir)
		}
	}
	s := &server{
		patient: c.StopTimeout,
		queue:   make(chan []byte, c.InFlight+64),
		asked:   make(chan struct{}), outputsEnded: make(chan struct{}),
		hurry: make(chan struct{}), done: make(chan struct{}),
		tail: &tail{to: c.Stderr},
	}
	if s.temp, err = os.MkdirTemp("", "identitytest-"); err != nil {
		return nil, err
	}
	if err := s.launch(path, c, env); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.temp))
	}
	var outputs sync.WaitGroup
	outputs.Go(func() { s.read(onLine) })
	outputs.Go(func() { _, _ = io.Copy(s.tail, s.stderr) }) // its end is the pipe's
	s.readers.Go(func() { outputs.Wait(); close(s.outputsEnded) })
	s.readers.Go(s.write)
	go s.watch()
	return s, nil
}

func (s *server) launch(path string, c Config, env []string) (err error) {
	s.cmd = &exec.Cmd{Path: path, Args: append([]string{path}, c.Args...), Dir: c.Dir}
	if c.Dir == "" {
		s.cmd.Dir = s.temp
	}
	if s.cmd.Env, err = environment(s.temp, c.Env, env); err != nil {
		return err
	}
	leadGroup(s.cmd)
	var theirs, ours [3]*os.File
	for i := range theirs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(theirs[:i])
			closeAll(ours[:i])
			return err
		}
		theirs[i], ours[i] = w, r
		if i == 0 {
			theirs[i], ours[i] = r, w
		}
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	err = s.cmd.Start()
	closeAll(theirs[:])
	if err != nil {
		closeAll(ours[:])
		return fmt.Errorf("start: %w", err)
	}
	s.stdin, s.stdout, s.stderr = ours[0], ours[1], ours[2]
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// send queues a message, and fails if the server has ended.
func (s *server) send(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errGone
	}
	select {
	case s.queue <- line:
		return nil
	case <-s.done:
		return errGone
	case <-s.hurry:
		return errGone
	}
}

// write is the only one who writes, so that a server which does not read holds up
// nobody who waits for an answer with a bound.
func (s *server) write() {
	defer s.stdin.Close()
	for line := range s.queue {
		if _, err := s.stdin.Write(append(line, '\n')); err != nil {
			for range s.queue { // whoever sends is told of the end otherwise
			}
			return
		}
	}
}

// closeInput ends the server's input once what is queued was written.
func (s *server) closeInput() {
	s.writing.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		close(s.queue)
	})
}

func (s *server) read(onLine func([]byte)) {
	scanner := bufio.NewScanner(s.stdout)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine+1)
	for scanner.Scan() {
		line := bytes.TrimSpace(scanner.Bytes())
		switch {
		case len(line) == 0:
		case line[0] == '{' || line[0] == '[':
			onLine(bytes.Clone(line))
		case s.stray == "":
			s.stray = string(line[:min(len(line), 80)])
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		s.fault = fmt.Sprintf("killed, as the gateway would, for a line of more than %d bytes", maxLine)
		s.signal(true)
	}
}

// signal asks the group to end, or ends it, unless it has ended.
func (s *server) signal(atOnce bool) {
	s.reaping.Lock()
	defer s.reaping.Unlock()
	if !s.reaped {
		signalGroup(s.cmd, atOnce)
	}
}

// watch waits for the end of the leader and clears away what it left. It is the
// owner of the other goroutines.
func (s *server) watch() {
	ended := awaitExit(s.cmd)
	select {
	case <-s.asked:
		// What a wrapper leaves behind has the time of the ladder to finish.
		select {
		case <-s.outputsEnded:
		case <-s.hurry:
		}
	default:
	}
	s.reaping.Lock()
	s.err, s.reaped = reapGroup(s.cmd, ended), true
	s.reaping.Unlock()
	deadline := time.Now().Add(drainTime)
	for _, f := range []*os.File{s.stdout, s.stderr} {
		if f.SetReadDeadline(deadline) != nil { // pipes of this system have none
			f.Close()
		}
	}
	s.stdin.Close() // ends a write that hangs
	s.closeInput()
	s.readers.Wait()
	closeAll([]*os.File{s.stdout, s.stderr})
	_ = os.RemoveAll(s.temp) // what a server makes unremovable is its own affair
	close(s.done)
}

// stop ends the server as the gateway does: end of input, SIGTERM to the group,
// SIGKILL to the group, each after the time of a step. It returns when nothing of the
// server is left, and says which step was needed.
func (s *server) stop() (step string) {
	close(s.asked)
	go s.closeInput() // a full queue of a server that does not read must not hold this up
	for _, next := range []string{"SIGTERM", "SIGKILL"} {
		select {
		case <-s.done:
			return step
		case <-time.After(s.patient):
		}
		step = next
		if next == "SIGKILL" {
			close(s.hurry)
		}
		s.signal(next == "SIGKILL")
	}
	<-s.done
	return step
}

// status says how the process ended, once it is done.
func (s *server) status() string {
	text := "exit status 0"
	if s.err != nil {
		text = s.err.Error()
	}
	if s.fault != "" {
		return s.fault
	}
	if last := s.tail.last(); last != "" {
		text += fmt.Sprintf(", after %q on standard error", last)
	}
	return text
}

// tail passes on what is written and keeps the end of it.
type tail struct {
	to  io.Writer
	mu  sync.Mutex
	end []byte
}

const tailSize = 400

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.end = append(t.end, b...)
	t.end = bytes.Clone(t.end[max(0, len(t.end)-tailSize):])
	t.mu.Unlock()
	_, _ = t.to.Write(b) // the pipe is to be emptied whatever becomes of the copy
	return len(b), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.end), []byte("\n"))
	return string(lines[len(lines)-1])
}

// oneAtATime lets several servers write to one writer.
type oneAtATime struct {
	mu sync.Mutex
	to io.Writer
}

func (w *oneAtATime) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}
