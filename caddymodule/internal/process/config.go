package process

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Defaults of [Config]; zero and negative values stand for them.
const (
	DefaultStopTimeout  = 5 * time.Second
	DefaultMaxLine      = 16 << 20
	DefaultMaxQueue     = 1 << 20
	DefaultStallTimeout = 30 * time.Second
)

// Config says what to start and within which limits. No shell is involved.
type Config struct {
	// Command is a path, or a name that [Resolve] looks up.
	Command string
	// Args follow the command, each as it is.
	Args []string

	// Env holds "NAME=value" pairs set by the operator. They beat all that is
	// inherited; of equal names the last counts.
	Env []string
	// PassEnv names variables taken from the gateway's own environment, where set.
	PassEnv []string

	// Dir is the working folder; a relative path starts from the gateway's. With
	// "" the process works in its own temporary folder, which is empty at start
	// and removed at the end: in the gateway's folder it would share files with
	// the processes of other users, and many runtimes read settings (.env, .npmrc)
	// from where they stand. Write Dir where a server keeps relative files.
	Dir string

	// StopTimeout is the time for each step of the ladder that [Process.Stop]
	// climbs. Default 5 s.
	StopTimeout time.Duration
	// MaxLine is the largest line on stdout in bytes, line end not counted. One
	// byte more, and the process is killed with [ErrLineTooLong]. Default 16 MiB.
	MaxLine int
	// MaxQueue is how many bytes may wait for the process to read them, newlines
	// counted. A single larger frame is taken when nothing else waits. Default
	// 1 MiB.
	MaxQueue int
	// StallTimeout is how long input may wait without one byte being read; then
	// the process is killed with [ErrStalled]. Default 30 s.
	StallTimeout time.Duration

	// Logger receives start, end and what the process writes on standard error,
	// each with its pid. Arguments and environment are never logged. Default: none.
	Logger *slog.Logger

	// OnLine is called for every line on stdout that looks like JSON (an object or
	// an array), in order, from one goroutine, without the line end. The slice is
	// freshly made and belongs to the callee. While OnLine runs no further output
	// is read, so the child is slowed down by a slow callee. OnLine may call Send,
	// Stop and Kill; it must not wait for Done, which waits for it.
	OnLine func(line []byte)
	// OnExit, if set, is called once, last of all, after Done is closed, with what
	// Err returns.
	OnExit func(err error)
}

func (c Config) withDefaults() Config {
	c.StopTimeout = positive(c.StopTimeout, DefaultStopTimeout)
	c.MaxLine = positive(c.MaxLine, DefaultMaxLine)
	c.MaxQueue = positive(c.MaxQueue, DefaultMaxQueue)
	c.StallTimeout = positive(c.StallTimeout, DefaultStallTimeout)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnLine == nil {
		c.OnLine = func([]byte) {}
	}
	return c
}

func positive[T int | time.Duration](v, fallback T) T {
	if v > 0 {
		return v
	}
	return fallback
}

// launch is what the system is asked to start.
type launch struct {
	path string
	argv []string
	env  []string
	dir  string
	temp string // temporary folder made for this process, or ""
}

// prepare checks the settings and makes the temporary folder, the only thing
// that must be undone if the start fails.
func (c Config) prepare() (*launch, error) {
	path, err := Resolve(c.Command)
	if err != nil {
		return nil, err
	}
	for _, arg := range c.Args {
		if strings.IndexByte(arg, 0) >= 0 {
			return nil, fmt.Errorf("an argument of %q holds a NUL byte", c.Command)
		}
	}
	env, err := newEnvironment(os.LookupEnv, c.PassEnv, c.Env)
	if err != nil {
		return nil, err
	}
	dir, err := workingDir(c.Dir)
	if err != nil {
		return nil, err
	}
	l := &launch{path: path, argv: append([]string{path}, c.Args...), dir: dir}
	if dir == "" || !env.has("TMPDIR") {
		if l.temp, err = os.MkdirTemp("", "snapgate-"); err != nil {
			return nil, fmt.Errorf("making the temporary folder of the process: %w", err)
		}
		env.setDefault("TMPDIR", l.temp)
	}
	if l.dir == "" {
		l.dir = l.temp
	}
	l.env = env.list()
	return l, nil
}

// discard undoes prepare.
func (l *launch) discard() {
	// A folder that was made a moment ago and never used: failing to remove it
	// must not hide why the start failed.
	_ = removeTemp(l.temp)
}

// workingDir makes a configured folder absolute and checks it, because the
// system's own error would name the command instead.
func workingDir(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("working folder %q: %w", dir, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", fmt.Errorf("working folder: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("working folder %q is not a folder", abs)
	}
	if err := mayEnter(abs); err != nil {
		return "", fmt.Errorf("working folder %q may not be entered: %w", abs, err)
	}
	return abs, nil
}
