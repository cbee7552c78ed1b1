// Package pgtest starts PostgreSQL servers for tests: private ones, in temporary
// folders, on loopback ports, which end with their tests.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server may take to start or stop.
const patience = 3 * time.Minute

// The role that tests work with, which is neither superuser nor has BYPASSRLS, and the
// superuser. The server asks nobody on this machine for a password.
const (
	Role      = "snapshotd"
	Superuser = "operator"
)

// Server is a PostgreSQL server.
type Server struct {
	binaries, folder string
	account          account
	port             int // 0 until it has run

	mu      sync.Mutex
	process *exec.Cmd
	control io.WriteCloser // see watch
	next    int
}

// shared is the server of [Shared].
var shared struct {
	sync.Mutex
	*Server
}

// Main runs the tests of a package whose tests may use [Shared], and returns their status.
func Main(m *testing.M) int {
	status := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.Server != nil {
		if err := shared.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return status
}

// Shared is a server for all tests of a package that do not stop it, each with a
// database of its own. It starts with the first of them and ends in [Main].
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Server == nil {
		shared.Server = start(t)
	}
	return shared.Server
}

// Start starts a server for a test. Where PostgreSQL is not installed the test is
// skipped, or fails if SNAPGATE_REQUIRE=all says that nothing may be.
func Start(t testing.TB) *Server {
	t.Helper()
	s := start(t)
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func start(t testing.TB) *Server {
	t.Helper()
	binaries, account, err := find()
	if err != nil {
		lacking(t, err.Error())
	}
	s := &Server{binaries: binaries, account: account}
	if s.folder, err = os.MkdirTemp(account.temporary(), "snapgate-postgres"); err != nil {
		t.Fatal(err)
	}
	if err := s.make(); err != nil {
		t.Fatal(errors.Join(err, s.remove()))
	}
	return s
}

// make makes the server's files, starts it, and makes the role.
func (s *Server) make() error {
	if err := s.account.own(s.folder); err != nil {
		return err
	}
	text, err := s.command("initdb", "--pgdata", s.data(), "--username", Superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, text)
	}
	if err := s.run(); err != nil {
		return err
	}
	return s.exec("postgres", "CREATE ROLE "+Role+" LOGIN PASSWORD 'secret'")
}

func (s *Server) remove() error {
	return errors.Join(s.end("INT"), os.RemoveAll(s.folder))
}

func lacking(t testing.TB, what string) {
	t.Helper()
	const remedy = "install PostgreSQL (Debian: postgresql), and as root keep the account postgres that comes with it"
	if os.Getenv("SNAPGATE_REQUIRE") == "all" {
		t.Fatalf("SNAPGATE_REQUIRE=all, but %s; %s", what, remedy)
	}
	t.Skipf("skipped: %s; to run it: %s", what, remedy)
}

// find returns the folder of the PostgreSQL that SNAPGATE_POSTGRES names, or is in PATH,
// or is the newest of Debian's, and whom to run it as.
func find() (binaries string, as account, err error) {
	if named := os.Getenv("SNAPGATE_POSTGRES"); named != "" {
		if _, err := os.Stat(filepath.Join(named, "initdb")); err != nil {
			return "", as, fmt.Errorf("SNAPGATE_POSTGRES names a folder without PostgreSQL: %w", err)
		}
		binaries = named
	} else if path, err := exec.LookPath("initdb"); err == nil {
		binaries = filepath.Dir(path)
	} else {
		installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian keeps it out of PATH
		if len(installed) == 0 {
			return "", as, errors.New("there is no PostgreSQL")
		}
		newest := slices.MaxFunc(installed, func(a, b string) int { return release(a) - release(b) })
		binaries = filepath.Dir(newest)
	}
	as, err = unprivileged()
	return binaries, as, err
}

func release(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// freePort finds a port below those that systems give to connections and to whoever listens at
// port 0 (Linux from 32768 on), so that nobody is given it while the server is away.
func freePort() (port int, err error) {
	for range 1000 {
		port = 10_000 + rand.IntN(22_768)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, err
		}
	}
	return 0, errors.New("no port is free from 10000 to 32767")
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// log is what the server that runs, or ran last, has written.
func (s *Server) log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) logFile() string { return filepath.Join(s.folder, "log") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	return s.bare(filepath.Join(s.binaries, program), args...)
}

func (s *Server) bare(program string, args ...string) *exec.Cmd {
	command := exec.Command(program, args...)
	command.Dir = s.folder
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.folder, "LC_ALL=C.UTF-8"}
	s.account.run(command)
	return command
}

// watch is a shell program that runs a server until it reads the name of a signal to
// end it by, or until whoever is to write that is gone: so a test that is killed leaves
// no server behind.
const watch = `"$@" </dev/null & read -r signal || signal=INT; kill -s "$signal" $!; wait $!`

// Run starts the server again after Stop or Crash.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// errPortTaken says that somebody else has taken the port since it was found to be free, or
// since the server that had it ended.
var errPortTaken = errors.New("PostgreSQL did not get its port")

func (s *Server) run() error {
	for attempt, first := 1, s.port == 0; ; attempt++ {
		if first {
			var err error
			if s.port, err = freePort(); err != nil {
				return err
			}
		}
		if err := s.launch(); !errors.Is(err, errPortTaken) || attempt == 10 {
			return err
		}
	}
}

// launch starts the server and waits until it answers.
func (s *Server) launch() error {
	log, err := os.Create(s.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	s.mu.Lock()
	s.process = s.bare("/bin/sh", "-c", watch, "sh", filepath.Join(s.binaries, "postgres"),
		"-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=60")
	s.process.Stdout, s.process.Stderr = log, log
	control, err := s.process.StdinPipe()
	if err == nil {
		s.control = control
		err = s.process.Start()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		if strings.Contains(s.log(), "could not bind") {
			return errors.Join(fmt.Errorf("%w: %s", errPortTaken, s.log()), s.end("QUIT"))
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL did not start: %w; %w\n%s", err, s.end("QUIT"), s.log())
		}
	}
}

// answers holds that the server answers, and not another one at its port.
func (s *Server) answers(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL(Superuser, "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var folder string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&folder); err != nil {
		return err
	}
	if folder != s.data() {
		return fmt.Errorf("the server of %s answers", folder)
	}
	return nil
}

// Stop ends the server and its connections as an operator would ("fast").
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.end("INT"); err != nil {
		t.Error(err)
	}
}

// Crash ends it without giving anyone the time for anything ("immediate").
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if err := s.end("QUIT"); err != nil {
		t.Error(err)
	}
}

func (s *Server) end(signal string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	ended := s.process
	s.process = nil
	_, err := io.WriteString(s.control, signal+"\n")
	if err := errors.Join(err, s.control.Close()); err != nil {
		return err
	}
	kill := time.AfterFunc(patience, func() { _ = ended.Process.Kill() })
	_ = ended.Wait() // its status is that of the signal
	if !kill.Stop() {
		return fmt.Errorf("PostgreSQL did not end\n%s", s.log())
	}
	return nil
}

// URL is the address of a database for a role.
func (s *Server) URL(role, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, "secret"), Path: "/" + database, RawQuery: "sslmode=disable",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
	}
	return u.String()
}

// Database makes an empty database that belongs to Role, and returns its address for Role.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.URL(Role, s.NewDatabase(t, ""))
}

// NewDatabase makes an empty database that belongs to Role, with more of CREATE
// DATABASE, and returns its name.
func (s *Server) NewDatabase(t testing.TB, options string) string {
	t.Helper()
	s.mu.Lock()
	s.next++
	name := fmt.Sprint("test_", s.next)
	s.mu.Unlock()
	s.Exec(t, "postgres", "CREATE DATABASE "+name+" OWNER "+Role+" "+options)
	return name
}

// Exec runs statements as the superuser.
func (s *Server) Exec(t testing.TB, database, statements string) {
	t.Helper()
	if err := s.exec(database, statements); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) exec(database, statements string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(Superuser, database))
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, statements); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", statements, err), conn.Close(ctx))
	}
	return conn.Close(ctx)
}

// Connect returns a connection of its own for a test, which ends with it.
func (s *Server) Connect(t testing.TB, role, database string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(role, database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
