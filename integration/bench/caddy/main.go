// Command caddy is Caddy with a handler that answers itself, at the address in its first
// argument. What it costs more than the bare HTTP server is Caddy's, with nothing of the
// gateway in it. It is a program of its own, since all of Caddy takes a while to start. Where
// its time goes can be asked for as a profile.
package main

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/integration/bench/echo"
)

func init() {
	caddy.RegisterModule(handler{})
	caddy.RegisterModule(passing{})
	caddy.RegisterModule(profiling{})
}

// handler is the bare HTTP server's handler as one of Caddy's.
type handler struct{}

func (handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_echo", New: func() caddy.Module { return new(handler) }}
}

func (handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	echo.Handle(w, r)
	return nil
}

// passing is the least of a gateway as one of Caddy's handlers.
type passing struct{ *echo.Pass }

func (passing) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_pass", New: func() caddy.Module {
		return &passing{&echo.Pass{Start: func() *exec.Cmd {
			cmd := exec.Command(os.Args[2])
			cmd.Env = append(os.Environ(), "ECHO_SERVER=1")
			return cmd
		}}}
	}}
}

func (p passing) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	p.Pass.ServeHTTP(w, r)
	return nil
}

// profiling answers with a profile of this process's CPU.
type profiling struct{}

func (profiling) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_profile", New: func() caddy.Module { return new(profiling) }}
}

func (profiling) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	pprof.Profile(w, r)
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: caddy <address> <echo server>, such as 127.0.0.1:8080 bench")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "caddy:", serve(os.Args[1]))
	os.Exit(1)
}

// serve returns with an error, or not at all.
func serve(address string) error {
	config := fmt.Sprintf(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"level": "ERROR"}}},
		"apps": {"http": {"servers": {"echo": {
			"listen": [%q], "automatic_https": {"disable": true},
			"routes": [
				{"match": [{"host": ["127.0.0.1"], "path": ["/"]}], "handle": [{"handler": "bench_echo"}]},
				{"match": [{"host": ["127.0.0.1"], "path": ["/pass"]}], "handle": [{"handler": "bench_pass"}]},
				{"match": [{"host": ["127.0.0.1"], "path": ["/profile"]}], "handle": [{"handler": "bench_profile"}]}
			]
		}}}}
	}`, address)
	if err := caddy.Load([]byte(config), true); err != nil {
		return err
	}
	select {}
}
