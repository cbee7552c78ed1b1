package main

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"

	"github.com/snapgate/snapgate/integration/bench/echo"
)

// rawStdio starts a server for each session and speaks to it directly.
func rawStdio() way {
	return way{name: rawName, open: func() (*session, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVar+"=1")
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		lines := bufio.NewReaderSize(out, 1<<17)
		c := caller{}
		call := func(id int, text []byte) error {
			if _, err := in.Write(append(c.call(id, text), '\n')); err != nil {
				return err
			}
			line, err := readLine(lines)
			if err != nil {
				return err
			}
			return c.check(line[:len(line)-1], id, text)
		}
		return &session{call, func() error {
			in.Close()
			return cmd.Wait() // it ends with its input
		}}, nil
	}}
}

// readLine copies only lines that are longer than the buffer.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	line = bytes.Clone(line)
	rest, err := r.ReadBytes('\n')
	return append(line, rest...), err
}

// bareVar says that this program is to be the bare HTTP server, and at which address.
const bareVar = "BARE_SERVER"

// serveBare is an HTTP server that answers itself. It is a process of its own, as every
// server here is.
func serveBare(address string) error {
	return http.ListenAndServe(address, http.HandlerFunc(echo.Handle))
}
