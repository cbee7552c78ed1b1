// Command legacyonly runs a stdio server and hides from it that there is a protocol
// version without initialize: it answers server/discover itself, as a server does that
// does not know the method.
//
//	legacyonly <command> [<args>...]
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "legacyonly:", err)
		os.Exit(1)
	}
}

func run(command []string) error {
	if len(command) == 0 {
		return fmt.Errorf("usage: legacyonly <command> [<args>...]")
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out := &lines{w: os.Stdout}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if answer := refuse(line); answer != nil {
			out.write(answer)
		} else if _, err := in.Write(line); err != nil {
			break
		}
		if err != nil {
			break
		}
	}
	_ = in.Close() // the end of input, which the server may have seen already
	return cmd.Wait()
}

// refuse answers server/discover.
func refuse(line []byte) []byte {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(line, &m) != nil || m.Method != "server/discover" || m.ID == nil {
		return nil
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`+"\n", m.ID)
}

// lines lets two writers share a stream without mixing lines.
type lines struct {
	mu      sync.Mutex
	w       io.Writer
	partial []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for i := len(l.partial) - 1; i >= 0; i-- {
		if l.partial[i] == '\n' {
			if _, err := l.w.Write(l.partial[:i+1]); err != nil {
				return 0, err
			}
			l.partial = append(l.partial[:0], l.partial[i+1:]...)
			break
		}
	}
	return len(p), nil
}

func (l *lines) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(line) // a reader that has gone is seen at the next end of input
}
