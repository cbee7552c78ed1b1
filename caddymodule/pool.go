package caddymodule

import (
	"context"
	"errors"
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
	proofs    = caddy.NewUsagePool() // by resource
)

// closeTime bounds how long an exit waits for processes, beyond three steps of the stop ladder. It
// is counted in short steps, so that time in which the gateway itself stood still hardly counts: on
// a machine that is busy, or that was suspended, the ladder has to go on from where it was.
const (
	closeTime = 2 * time.Second
	closeStep = 100 * time.Millisecond
)

// pooledBridge keeps sessions and processes.
type pooledBridge struct {
	*bridge.Bridge
	stopTimeout time.Duration
}

// Destruct ends everything. When Caddy exits it waits until no process is left; in a
// reload there is no reason to hold up the new configuration.
func (p *pooledBridge) Destruct() error {
	if caddy.Exiting() {
		p.closeInTime()
	} else {
		go p.closeInTime()
	}
	return nil
}

// closeInTime returns when no process is left, or the time for that is over.
func (p *pooledBridge) closeInTime() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.Close(ctx)
	}()
	for left := 3*p.stopTimeout + closeTime; left > 0; left -= closeStep {
		select {
		case <-closed:
			return
		case <-time.After(closeStep):
		}
	}
	cancel()
	<-closed
}

// pooledVerifier keeps keys and verified tokens.
type pooledVerifier struct{ *oauth.Verifier }

func (p pooledVerifier) Destruct() error {
	p.Close()
	return nil
}

// pooledProofs keeps which DPoP proofs were used at a resource. A verifier that accepts other
// tokens than the one before must still know them: they are for the resource, and good.
type pooledProofs struct{ *oauth.ReplayCache }

func (pooledProofs) Destruct() error { return nil }

// holdVerifier takes the verifier of a configuration, with the proofs of its resource.
func (o *OAuth) holdVerifier(cfg oauth.Config) error {
	value, _, err := proofs.LoadOrNew(cfg.Resource, func() (caddy.Destructor, error) {
		return pooledProofs{oauth.NewReplayCache()}, nil
	})
	if err != nil {
		return err
	}
	o.proofsKey = cfg.Resource
	cfg.Proofs = value.(pooledProofs).ReplayCache
	key := cfg.Digest()
	value, _, err = verifiers.LoadOrNew(key, func() (caddy.Destructor, error) {
		v, err := oauth.NewVerifier(cfg)
		return pooledVerifier{v}, err
	})
	if err != nil {
		return err
	}
	o.poolKey, o.verifier = key, value.(pooledVerifier).Verifier
	return nil
}

// releaseVerifier gives back what is held: Cleanup also runs after a failed Provision.
func (o *OAuth) releaseVerifier() error {
	var failures []error
	release := func(pool *caddy.UsagePool, key *string) {
		if *key != "" {
			_, err := pool.Delete(*key)
			failures = append(failures, err)
			*key = ""
		}
	}
	release(verifiers, &o.poolKey)
	release(proofs, &o.proofsKey)
	return errors.Join(failures...)
}
