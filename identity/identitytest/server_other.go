//go:build !unix

package identitytest

import "os/exec"

// There are no process groups, and no way to ask: the gateway does not run servers on
// these systems, but one can be tried there.
func leadGroup(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, atOnce bool) {
	if atOnce {
		_ = cmd.Process.Kill() // that it is gone leaves nothing to do
	}
}

func awaitExit(cmd *exec.Cmd) error { return cmd.Wait() }

func reapGroup(_ *exec.Cmd, ended error) error { return ended }
