//go:build unix

package process

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is its own child: this variable says which part it plays.
const roleVar = "SNAPGATE_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		play, ok := roles[role]
		if !ok {
			fmt.Fprintf(os.Stderr, "no role %q\n", role)
			os.Exit(99)
		}
		play()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// roles are the behaviours of children. One that returns exits with status 0.
var roles map[string]func()

func init() {
	roles = map[string]func(){
		"echo":            echo,
		"ignore-eof":      func() { say("up"); untilEOF(); forever() },
		"ignore-eof-term": func() { signal.Ignore(syscall.SIGTERM); say("up"); untilEOF(); forever() },
		"sleep":           forever,
		"exit-0":          func() {},
		"exit-3":          func() { os.Exit(3) },
		"grandchild":      func() { fmt.Println(mustSpawn("ignore-eof-term", nil)); untilEOF() },
		"leave-behind":    func() { fmt.Println(mustSpawn("ignore-eof-term", nil)); os.Exit(3) },
		"escape":          func() { fmt.Println(mustSpawn("sleep", &syscall.SysProcAttr{Setsid: true})); untilEOF() },
		"slow-term":       slowTerm,
		"slow-eof":        func() { say("up"); untilEOF(); time.Sleep(200 * time.Millisecond); say("flushed") },
		"flood-stdout":    floodStdout,
		"flood-stderr":    floodStderr,
		"deaf":            func() { say("up"); forever() },
		"sip":             sip,
		"close-stdin":     func() { os.Stdin.Close(); say("closed"); forever() },
		"close-stdout":    func() { say("closed"); os.Stdout.Close(); untilEOF(); forever() },
		"crash":           func() { os.Stdout.Close(); time.Sleep(100 * time.Millisecond); os.Exit(3) },
		"partial":         func() { fmt.Print(`{"a":1}`) },
		"partial-cut":     func() { fmt.Print(`{"a":1`) },
		"rubbish":         rubbish,
		"describe":        describe,
		"lines":           func() { printMany(200); untilEOF() },
		"lines-exit":      func() { printMany(200) },
		"last-words":      func() { say("up"); os.Stdin.Read(make([]byte, 1)); printMany(200) },
		"make-files":      makeFiles,
		"gateway":         gateway,
	}
}

func say(what string) { fmt.Printf("{%q:true}\n", what) }

// forever is far past the end of any test. An empty select would be found out as
// a deadlock.
func forever() { time.Sleep(time.Hour) }

func untilEOF() {
	b := make([]byte, 4096)
	for {
		if _, err := os.Stdin.Read(b); err != nil {
			return
		}
	}
}

func echo() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadSlice('\n')
		out.Write(line)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			out.Flush()
			return
		}
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

// mustSpawn starts another part of this binary, in the same group unless attr
// says otherwise, and returns it as a line of JSON.
func mustSpawn(role string, attr *syscall.SysProcAttr) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(98)
	}
	return fmt.Sprintf(`{"pid":%d}`, cmd.Process.Pid)
}

func slowTerm() {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	say("up")
	<-terms
	time.Sleep(200 * time.Millisecond)
	say("saved")
}

func floodStdout() {
	chunk := bytes.Repeat([]byte("a"), 32<<10)
	os.Stdout.WriteString("{")
	for {
		os.Stdout.Write(chunk)
	}
}

const floodLines = 20_000

func floodStderr() {
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range floodLines {
		os.Stderr.Write(line)
	}
	say("done")
	untilEOF()
}

// sip reads a little every 200 ms, far longer than the stall timeout of its test.
func sip() {
	b := make([]byte, 16<<10)
	total := 0
	for {
		n, err := os.Stdin.Read(b)
		total += n
		if err != nil {
			fmt.Printf("{\"total\":%d}\n", total)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func rubbish() {
	os.Stdout.WriteString("Server listening\n" +
		"\xef\xbb\xbf{\"bom\":1}\n" +
		"\n  \t\r\n" +
		"\x1b[31mred\x1b[0m \xff\u202e\n" +
		"{\"ok\":1}\r\n" +
		"  [2]\n" +
		"\x00{\n" +
		"{\"ok\":3}\n")
}

func printMany(n int) {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i)
	}
	os.Stdout.Write(b.Bytes())
}

type description struct {
	Env         []string
	Dir         string
	PGID        int
	Blocking    []bool
	Descriptors []string
}

// describe tells what the child was given.
func describe() {
	d := description{Env: os.Environ(), PGID: syscall.Getpgrp()}
	d.Dir, _ = os.Getwd()
	for fd := range 3 {
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
		d.Blocking = append(d.Blocking, flags&syscall.O_NONBLOCK == 0)
	}
	d.Descriptors = descriptors()
	json.NewEncoder(os.Stdout).Encode(d)
	untilEOF()
}

// descriptors lists what this process was given, on systems that tell. What the
// Go runtime has opened for itself is left out.
func descriptors() []string {
	var list []string
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		own := strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/sys/fs/cgroup/")
		if err == nil && !own {
			list = append(list, filepath.Base(link)+" "+target)
		}
	}
	return list
}

// makeFiles leaves a read-only folder in its working folder.
func makeFiles() {
	dir, _ := os.Getwd()
	sub := filepath.Join(dir, "locked", "deep")
	if err := os.MkdirAll(sub, 0o700); err != nil {
		os.Exit(97)
	}
	os.WriteFile(filepath.Join(sub, "file"), []byte("x"), 0o400)
	os.Chmod(sub, 0o500)
	os.Chmod(filepath.Dir(sub), 0o500)
	say("made")
	untilEOF()
}

// gateway stands for the process that uses this package. It starts a child from
// a thread that ends at once, and prints the child's pid when the child speaks.
func gateway() {
	up := make(chan struct{})
	pid := make(chan int, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err := Start(Config{
			Command: os.Args[0],
			Env:     []string{roleVar + "=ignore-eof-term"},
			OnLine:  func([]byte) { close(up) },
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(96)
		}
		pid <- p.PID()
	}()
	<-up
	endIdleThreads()
	fmt.Printf("{\"pid\":%d}\n", <-pid)
	forever()
}

// endIdleThreads ends all threads that the runtime may hand to a new goroutine,
// the one that forked among them unless it is locked.
func endIdleThreads() {
	const many = 200
	release := make(chan struct{})
	var locked, ended sync.WaitGroup
	locked.Add(many)
	for range many {
		ended.Go(func() {
			runtime.LockOSThread()
			locked.Done()
			<-release
		})
	}
	locked.Wait()
	close(release)
	ended.Wait()
}
