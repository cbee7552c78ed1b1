package main

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// caddyVar says that this program is to be Caddy with a handler that answers itself, and at
// which address. What that costs more than the bare HTTP server is Caddy's, with nothing of
// the gateway in it.
const caddyVar = "CADDY_SERVER"

const caddyName = "handler in Caddy, http"

func init() { caddy.RegisterModule(echoHandler{}) }

// echoHandler is the bare HTTP server's handler as one of Caddy's.
type echoHandler struct{}

func (echoHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_echo", New: func() caddy.Module { return new(echoHandler) }}
}

func (echoHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	answerHTTP(w, r)
	return nil
}

// serveCaddy returns with an error, or not at all.
func serveCaddy(address string) error {
	config := fmt.Sprintf(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"level": "ERROR"}}},
		"apps": {"http": {"servers": {"echo": {
			"listen": [%q], "automatic_https": {"disable": true},
			"routes": [{"match": [{"host": ["127.0.0.1"], "path": ["/"]}], "handle": [{"handler": "bench_echo"}]}]
		}}}}
	}`, address)
	if err := caddy.Load([]byte(config), true); err != nil {
		return err
	}
	select {}
}
