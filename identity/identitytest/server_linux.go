package identitytest

import (
	"errors"
	"os/exec"

	"golang.org/x/sys/unix"
)

// awaitExit returns when the leader has ended. It stays a zombie, which keeps its
// number, and that of its group, from being given away before the group is killed.
func awaitExit(cmd *exec.Cmd) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// reapGroup kills what is left of the group, reaps the leader and says how it ended.
func reapGroup(cmd *exec.Cmd, _ error) error {
	signalGroup(cmd, true)
	return cmd.Wait()
}
