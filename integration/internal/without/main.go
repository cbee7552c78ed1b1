// Command without runs a stdio server and hides a method from it: it answers that itself,
// as a server does that does not know the method. Without server/discover a server of all
// protocol versions is one of the legacy versions, without initialize one of the modern.
//
//	without <method> <command> [<args>...]
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
		fmt.Fprintln(os.Stderr, "without:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: without <method> <command> [<args>...]")
	}
	hidden := args[0]
	cmd := exec.Command(args[1], args[2:]...)
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
		if answer := refuse(line, hidden); answer != nil {
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

// refuse answers a request of the method.
func refuse(line []byte, method string) []byte {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(line, &m) != nil || m.Method != method || m.ID == nil {
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
