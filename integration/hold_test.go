package integration_test

import (
	"os"
	"path/filepath"
	"testing"
)

// held is a call that waits in the child until it is let go.
type held struct {
	t    testing.TB
	file string
}

func hold(t testing.TB) held { return held{t, filepath.Join(t.TempDir(), "held")} }

// arguments are those of the child's tool hold.
func (h held) arguments() object { return object{"file": h.file} }

// late are arguments with which the call is answered even after it was cancelled.
func (h held) late() object { return object{"file": h.file, "late": true} }

// reached waits until the child has the call.
func (h held) reached() {
	h.t.Helper()
	await(h.t, "the call to reach the child", func() bool { return exists(h.file + ".in") })
}

// cancelled waits until the child knows that the call is cancelled, and returns the id
// by which it was.
func (h held) cancelled() string {
	h.t.Helper()
	var id []byte
	await(h.t, "the cancellation to reach the child", func() bool {
		id, _ = os.ReadFile(h.file + ".cancelled")
		return len(id) > 0
	})
	return string(id)
}

// release lets the child answer.
func (h held) release() {
	h.t.Helper()
	if err := os.WriteFile(h.file, nil, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
