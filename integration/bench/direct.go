package main

import (
	"net/http"
	"os"
	"os/exec"

	"github.com/snapgate/snapgate/integration/bench/echo"
)

// rawStdio starts a server for each session and speaks to it directly.
func rawStdio() way {
	return way{name: rawName, open: func(dialer) (*session, error) {
		server, err := echo.Start(echoServer(os.Args[0]))
		if err != nil {
			return nil, err
		}
		c := caller{}
		call := func(id int, text []byte) error {
			answer, err := server.Call(append(c.call(id, text), '\n'))
			if err != nil {
				return err
			}
			return c.check(answer, id, text)
		}
		return &session{call, server.End}, nil
	}}
}

// bareVar says that this program is to be the bare HTTP server, and at which address.
const bareVar = "BARE_SERVER"

// serveBare is an HTTP server that answers itself, and the least of a gateway at [passPath].
// It is a process of its own, as every server here is.
func serveBare(address string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", echo.Handle)
	mux.Handle(passPath, &echo.Pass{Start: func() *exec.Cmd { return echoServer(os.Args[0]) }})
	return http.ListenAndServe(address, mux)
}

// echoServer is the command of the echo server, which is in this program.
func echoServer(program string) *exec.Cmd {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVar+"=1")
	return cmd
}
