package caddymodule

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/process"
)

// selfCheck says at the start what would otherwise be found at the first call.
func (s *Stdio) selfCheck() {
	switch s.Anonymous {
	case anonymousPublic:
		s.log.Warn("serving everyone without login", "command", s.Command[0])
	case anonymousLoopback:
		s.log.Info("serving this machine without login", "command", s.Command[0])
	}
	command, err := s.templates.command[0].expand(nil)
	if err == nil {
		_, err = process.Resolve(command)
	}
	if err != nil {
		s.log.Warn("the command cannot be run: calls will be answered 502", "command", command, "error", err, "hint", commandHint(command, err))
	}
	if words := s.shellWords(); len(words) > 0 {
		s.log.Warn("no shell is involved, so the command gets these as they are written", "arguments", words,
			"hint", "write {env.HOME} for ~, and what takes a shell into a script of its own")
	}
	if dir := s.templates.dir; dir.static() && dir.literals[0] != "" {
		if info, err := os.Stat(dir.literals[0]); err != nil || !info.IsDir() {
			s.log.Warn("the working folder is not there: calls will be answered 502", "dir", dir.literals[0])
		}
	}
	missing := slices.DeleteFunc(slices.Clone(s.PassEnv), func(name string) bool {
		_, there := os.LookupEnv(name)
		return there
	})
	if len(missing) > 0 {
		s.log.Warn("pass_env names variables that Caddy does not have itself: processes will start without them", "variables", missing)
	}
}

// commandHint says what to do about a command that cannot be run.
func commandHint(command string, err error) string {
	switch {
	case strings.HasPrefix(command, "~"):
		return "no shell is there to know ~: write the absolute path, or {env.HOME}"
	case strings.Contains(command, "="):
		return "write variables into the block, such as \"env NAME value\", and the command alone here"
	case strings.Contains(command, " "):
		return "write the command and its arguments as separate words, without quotes around all of them"
	case errors.Is(err, fs.ErrPermission):
		return "the file is there, and the user that Caddy runs as may not execute it: chmod +x, or write its interpreter before it"
	}
	return "install it, or write its absolute path"
}

// shellWords are arguments that mean something to a shell, and that no server asks for.
func (s *Stdio) shellWords() (found []string) {
	for _, arg := range s.Command[1:] {
		if slices.Contains([]string{"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1"}, arg) || strings.HasPrefix(arg, "~/") {
			found = append(found, arg)
		}
	}
	return found
}
