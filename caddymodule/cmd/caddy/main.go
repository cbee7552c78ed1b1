// Command caddy is Caddy with Snapgate and the standard modules in it.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/snapgate/snapgate/caddymodule"
)

func main() {
	keepFloor()
	caddycmd.Main()
}
