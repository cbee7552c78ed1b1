package process

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Resolve finds the executable for a command: a name without a separator in the
// gateway's PATH, anything else as a path from the gateway's working folder. The
// result is absolute, so it means the same in any working folder. A name that
// PATH finds only relative to the current folder is refused ([exec.ErrDot]): who
// can write there could choose what runs.
func Resolve(command string) (string, error) {
	if command == "" {
		return "", errors.New("no command given")
	}
	if strings.IndexByte(command, 0) >= 0 {
		return "", fmt.Errorf("command %q holds a NUL byte", command)
	}
	path, err := exec.LookPath(command)
	switch {
	case errors.Is(err, exec.ErrDot):
		return "", fmt.Errorf("command %q is found only in the current folder; write ./%s to mean it: %w", command, command, exec.ErrDot)
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("command %q: %w (the gateway's own)", command, exec.ErrNotFound)
	case err != nil:
		return "", fmt.Errorf("command %q: %w", command, reason(err))
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("command %q: %w", command, err)
	}
	return abs, nil
}

// reason takes off the wrapping that repeats the command.
func reason(err error) error {
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		return lookup.Err
	}
	return err
}
