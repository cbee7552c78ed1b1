package caddymodule

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// What must outlive a reload, shared by the configurations that are alive at the same
// time. The key names all that makes it what it is: change that, and the next
// configuration gets another.
var (
	bridges   = caddy.NewUsagePool()
	verifiers = caddy.NewUsagePool()
)

// closeTime bounds how long an exit waits for processes, beyond three steps of the stop
// ladder.
const closeTime = 2 * time.Second

// pooledBridge keeps sessions and processes.
type pooledBridge struct {
	*bridge.Bridge
	stopTimeout time.Duration
}

// Destruct ends everything. When Caddy exits it waits until no process is left; in a
// reload there is no reason to hold up the new configuration.
func (p *pooledBridge) Destruct() error {
	closing := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*p.stopTimeout+closeTime)
		defer cancel()
		p.Close(ctx)
	}
	if caddy.Exiting() {
		closing()
	} else {
		go closing()
	}
	return nil
}

// pooledVerifier keeps keys and verified tokens.
type pooledVerifier struct{ *oauth.Verifier }

func (p pooledVerifier) Destruct() error {
	p.Close()
	return nil
}
