//go:build unix

package identitytest

import (
	"os/exec"
	"syscall"
)

// leadGroup makes the process the leader of a group of its own, so that all that it
// starts can be ended with it.
func leadGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup ends the group, at once or by asking. That it is gone leaves nothing
// to do.
func signalGroup(cmd *exec.Cmd, atOnce bool) {
	signal := syscall.SIGTERM
	if atOnce {
		signal = syscall.SIGKILL
	}
	_ = syscall.Kill(-cmd.Process.Pid, signal)
}
