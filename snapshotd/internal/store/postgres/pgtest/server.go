// Package pgtest starts PostgreSQL servers for tests: private ones, in temporary
// folders, on loopback ports, which end with their tests.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server may take to start or stop.
const patience = time.Minute

// The role that tests work with, which is neither superuser nor has BYPASSRLS, and the
// superuser. The server asks nobody on this machine for a password.
const (
	Role      = "snapshotd"
	Superuser = "operator"
)

// Server is a PostgreSQL server.
type Server struct {
	binaries, folder string
	port             int
	account          account

	mu      sync.Mutex
	process *exec.Cmd
	log     bytes.Buffer
	next    int
}

// Start starts a server for a test. Where PostgreSQL is not installed the test is
// skipped, or fails if SNAPGATE_REQUIRE=all says that nothing may be.
func Start(t testing.TB) *Server {
	t.Helper()
	binaries, account, err := find()
	if err != nil {
		lacking(t, err.Error())
	}
	s := &Server{binaries: binaries, account: account, port: freePort(t)}
	if s.folder, err = os.MkdirTemp("", "snapgate-postgres"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop(t)
		if err := os.RemoveAll(s.folder); err != nil {
			t.Error(err)
		}
	})
	if err := account.own(s.folder); err != nil {
		t.Fatal(err)
	}
	initialize := s.command("initdb", "--pgdata", s.data(), "--username", Superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	if text, err := initialize.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, text)
	}
	s.Run(t)
	s.Exec(t, "postgres", "CREATE ROLE "+Role+" LOGIN PASSWORD 'secret'")
	return s
}

func lacking(t testing.TB, what string) {
	t.Helper()
	const remedy = "install PostgreSQL (Debian: postgresql), and as root keep the account postgres that comes with it"
	if os.Getenv("SNAPGATE_REQUIRE") == "all" {
		t.Fatalf("SNAPGATE_REQUIRE=all, but %s; %s", what, remedy)
	}
	t.Skipf("skipped: %s; to run it: %s", what, remedy)
}

// find returns the folder of the newest PostgreSQL, and whom to run it as.
func find() (binaries string, as account, err error) {
	if path, err := exec.LookPath("initdb"); err == nil {
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

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.binaries, program), args...)
	command.Dir = s.folder
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.folder, "LC_ALL=C.UTF-8"}
	s.account.run(command)
	return command
}

// Run starts the server again after Stop or Kill.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	s.process = s.command("postgres", "-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port),
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=60")
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	err := s.process.Start()
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL(Superuser, "postgres"))
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			s.Stop(t)
			t.Fatalf("PostgreSQL did not start: %v\n%s", err, s.log.String())
		}
	}
}

// Stop ends the server and its connections as an operator would (SIGINT: "fast").
func (s *Server) Stop(t testing.TB) { t.Helper(); s.end(t, syscall.SIGINT) }

// Crash ends it without giving anyone the time for anything (SIGQUIT: "immediate").
func (s *Server) Crash(t testing.TB) { t.Helper(); s.end(t, syscall.SIGQUIT) }

func (s *Server) end(t testing.TB, signal os.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	kill := time.AfterFunc(patience, func() { _ = s.process.Process.Kill() })
	_ = s.process.Wait() // its status is the signal's
	if !kill.Stop() {
		t.Errorf("PostgreSQL did not end\n%s", s.log.String())
	}
	s.process = nil
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
	conn := s.Connect(t, Superuser, database)
	if _, err := conn.Exec(context.Background(), statements); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
	if err := conn.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
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
