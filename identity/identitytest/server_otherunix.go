//go:build unix && !linux

package identitytest

import "os/exec"

// awaitExit returns when the leader has ended, and says how. These systems show an
// exit by reaping only.
func awaitExit(cmd *exec.Cmd) error { return cmd.Wait() }

// reapGroup kills what is left of the group. While it has members its number is not
// given away; if it has none, the number has been free for a moment only.
func reapGroup(cmd *exec.Cmd, ended error) error {
	signalGroup(cmd, true)
	return ended
}
