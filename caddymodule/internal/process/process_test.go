//go:build unix

package process

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFramesComeBackInOrder(t *testing.T) {
	r := play(t, "echo")
	frames := []string{`{"a":1}`, `[1,2]`, `{"big":"` + strings.Repeat("x", 300_000) + `"}`, `{"z":"é"}`}
	for _, f := range frames {
		r.send(f)
	}
	for _, f := range frames {
		r.expect(f)
	}
	r.Stop("test")
	if err := r.wait(); err != nil {
		t.Errorf("an orderly end: %v", err)
	}
}

func TestEveryLineWrittenBeforeTheExitIsDelivered(t *testing.T) {
	r := play(t, "lines-exit", func(c *Config) {
		next := c.OnLine
		c.OnLine = func(line []byte) { time.Sleep(100 * time.Microsecond); next(line) }
	})
	select {
	case <-r.exit:
	case <-time.After(patience):
		t.Fatal("no OnExit")
	}
	if len(r.lines) != 200 {
		t.Errorf("%d lines before OnExit, want 200", len(r.lines))
	}
}

// On a busy machine a process may be gone for long before what it has written is read.
func TestWhatAProcessWroteIsDeliveredHoweverLate(t *testing.T) {
	t.Parallel()
	var r *running
	started := make(chan struct{})
	r = play(t, "last-words", func(c *Config) {
		next := c.OnLine
		c.OnLine = func(line []byte) {
			if string(line) == `{"up":true}` {
				<-started
				_ = r.Send([]byte(`{}`)) // so that all else comes after what was read with this line
				<-r.gone
				time.Sleep(drainTime + drainTime/2)
			}
			next(line)
		}
	})
	close(started)
	r.wait()
	if n := len(r.lines); n != 201 {
		t.Errorf("%d of 201 lines are delivered", n)
	}
}

// A descendant that has left the group may write without end.
func TestSoMuchIsReadAfterTheDeadlineAndNoMore(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	late := &output{file: r, late: lastWords - 2}
	if n, err := late.Read(b); string(b[:n]) != "ab" || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if n, err := late.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("then read %q, %v", b[:n], err)
	}
	early := &output{file: r}
	if n, err := early.Read(b); string(b[:n]) != "c" || err != nil {
		t.Errorf("the rest is %q, %v", b[:n], err)
	}
	if n, err := early.Read(b); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("of what is empty %d bytes are read: %v", n, err)
	}
}

func TestExitUnaskedIsAnErrorWithItsStatus(t *testing.T) {
	for role, want := range map[string]string{"exit-0": "exit status 0", "exit-3": "exit status 3"} {
		r := play(t, role)
		err := r.wait()
		if !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", role, err)
		}
		if got := <-r.exit; got != err {
			t.Errorf("OnExit was told %v, Err says %v", got, err)
		}
		if err := r.Send([]byte("{}")); !errors.Is(err, ErrExited) {
			t.Errorf("Send after the end: %v", err)
		}
	}
}

func TestStopAndKillAfterTheEndChangeNothing(t *testing.T) {
	r := play(t, "exit-3")
	err := r.wait()
	r.Stop("late")
	r.Kill(errors.New("late"))
	if r.Err() != err {
		t.Errorf("outcome changed from %v to %v", err, r.Err())
	}
}

func TestErrIsNilWhileTheProcessRuns(t *testing.T) {
	if err := play(t, "echo").Err(); err != nil {
		t.Error(err)
	}
}

func TestKillWrapsItsFirstReason(t *testing.T) {
	r := play(t, "ignore-eof-term")
	reason := errors.New("over quota")
	r.Kill(reason)
	r.Kill(errors.New("another"))
	if err := r.wait(); !errors.Is(err, reason) || !strings.Contains(err.Error(), "signal: killed") {
		t.Error(err)
	}
}

func TestChildIsGivenWhatIsDocumentedAndNoMore(t *testing.T) {
	for _, name := range inherited {
		t.Setenv(name, "inherited "+name)
	}
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("SECRET", "of the gateway")
	t.Setenv("PASSED", "passed")
	t.Setenv("BOTH", "from the gateway")
	t.Setenv("LC_ALL", "C")
	t.Setenv("TMPDIR", t.TempDir())
	r := play(t, "describe", func(c *Config) {
		c.PassEnv = []string{"PASSED", "BOTH", "NOT_SET"}
		c.Env = append(c.Env, "BOTH=first", "TZ=Europe/Paris", "EMPTY=", "BOTH=from=env")
	})
	var d description
	if err := json.Unmarshal([]byte(r.line()), &d); err != nil {
		t.Fatal(err)
	}
	temp := d.Dir
	want := []string{
		"PATH=/usr/bin:/bin", "TZ=Europe/Paris", "PASSED=passed", "BOTH=from=env", "EMPTY=",
		roleVar + "=describe", promptExit, "TMPDIR=" + temp,
	}
	for _, name := range inherited {
		if name != "PATH" && name != "TZ" {
			want = append(want, name+"=inherited "+name)
		}
	}
	slices.Sort(want)
	slices.Sort(d.Env)
	if !slices.Equal(d.Env, want) {
		t.Errorf("environment\n%q, want\n%q", d.Env, want)
	}
	if d.PGID != r.PID() {
		t.Errorf("group %d, want its own, %d", d.PGID, r.PID())
	}
	if !slices.Equal(d.Blocking, []bool{true, true, true}) {
		t.Errorf("stdio of the child blocks: %v", d.Blocking)
	}
	info, err := os.Stat(temp)
	if err != nil || info.Mode().Perm() != 0o700 || filepath.Dir(temp) != os.Getenv("TMPDIR") {
		t.Errorf("temporary folder %s: %v %v", temp, info, err)
	}
	r.Stop("test")
	r.wait()
	if _, err := os.Stat(temp); !os.IsNotExist(err) {
		t.Errorf("temporary folder after the end: %v", err)
	}
}

func TestConfiguredFolderAndTempAreUsedAndKept(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	r := play(t, "describe", func(c *Config) {
		c.Dir = dir
		c.Env = append(c.Env, "TMPDIR="+temp)
	})
	var d description
	if err := json.Unmarshal([]byte(r.line()), &d); err != nil {
		t.Fatal(err)
	}
	if d.Dir != dir || !slices.Contains(d.Env, "TMPDIR="+temp) {
		t.Errorf("dir %s, env %q", d.Dir, d.Env)
	}
	expectEmptyDir(t, os.Getenv("TMPDIR"))
	r.Stop("test")
	r.wait()
	for _, kept := range []string{dir, temp} {
		if _, err := os.Stat(kept); err != nil {
			t.Error(err)
		}
	}
}

func TestTemporaryFolderWithReadOnlyFoldersIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := play(t, "make-files")
	r.expect(`{"made":true}`)
	r.Stop("test")
	r.wait()
	expectEmptyDir(t, os.Getenv("TMPDIR"))
}

func expectEmptyDir(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s holds %v, %v", dir, entries, err)
	}
}

func TestStartSaysWhatIsWrongAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	files := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain", "#!/bin/sh\n", 0o600)
	orphaned := write("orphaned", "#!/nowhere/interpreter\n", 0o700)
	garbage := write("garbage", "\x00\x01\x02", 0o700)
	cases := []struct {
		name string
		cfg  Config
		says string
		is   error
	}{
		{"none", Config{}, "no command", nil},
		{"unknown name", Config{Command: "no-such-server"}, `"no-such-server": executable file not found`, exec.ErrNotFound},
		{"unknown path", Config{Command: "/nowhere/server"}, `"/nowhere/server"`, os.ErrNotExist},
		{"not executable", Config{Command: plain}, "permission denied", os.ErrPermission},
		{"folder", Config{Command: files}, files, nil},
		{"interpreter", Config{Command: orphaned}, "interpreter", os.ErrNotExist},
		{"no program", Config{Command: garbage}, "not a program", syscall.ENOEXEC},
		{"no dir", Config{Command: "cat", Dir: "/nowhere"}, "working folder", os.ErrNotExist},
		{"dir is a file", Config{Command: "cat", Dir: plain}, "is not a folder", nil},
		{"argument", Config{Command: "cat", Args: []string{"a\x00b"}}, "NUL", nil},
		{"env", Config{Command: "cat", Env: []string{"secret"}}, "NAME=value", nil},
		{"env name", Config{Command: "cat", Env: []string{"=x"}}, "name of an environment", nil},
		{"env value", Config{Command: "cat", Env: []string{"A=\x00"}}, "variable A", nil},
		{"pass_env name", Config{Command: "cat", PassEnv: []string{"A=B"}}, `"A=B"`, nil},
	}
	for _, c := range cases {
		p, err := Start(c.cfg)
		if err == nil {
			p.Kill(nil)
			t.Errorf("%s: started", c.name)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats a setting that may be secret: %v", c.name, err)
		}
	}
	expectEmptyDir(t, temp)
	expectNoGoroutines(t)
}

func TestArgumentsAndEnvironmentAreNotLogged(t *testing.T) {
	r := play(t, "echo", func(c *Config) {
		c.Args = []string{"--token=hidden-argument"}
		c.Env = append(c.Env, "TOKEN=hidden-variable")
	})
	r.Stop("test")
	r.wait()
	log := r.log.String()
	if strings.Contains(log, "hidden") || !strings.Contains(log, "process started") || !strings.Contains(log, "pid=") {
		t.Error(log)
	}
}
