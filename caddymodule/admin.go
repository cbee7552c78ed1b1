package caddymodule

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

var warnAdminOnce sync.Once

// warnOfAdmin says, once in the life of the process, that Caddy's admin endpoint can be
// reached from this machine: a child runs here, and whoever reaches the endpoint can load
// any configuration. An endpoint on a Unix socket is under the file system's permissions.
func warnOfAdmin(logger *slog.Logger) {
	warnAdminOnce.Do(func() {
		addr, err := caddy.ParseNetworkAddress(caddy.DefaultAdminListen)
		if err != nil || addr.IsUnixNetwork() {
			return
		}
		go func() {
			conn, err := net.DialTimeout("tcp", addr.JoinHostPort(0), time.Second)
			if err != nil {
				return
			}
			_ = conn.Close()
			logger.Warn("Caddy's admin endpoint can be reached from this machine, and so by the servers behind the gateway: write \"admin off\" in the global options, or give it a Unix socket", "address", addr.JoinHostPort(0))
		}()
	})
}
