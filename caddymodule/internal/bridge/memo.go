package bridge

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/identity"
)

// memo keeps what settings make of a principal. Principals come from a cache of verified
// tokens, so that all calls with one token have the same.
type memo struct {
	mu sync.RWMutex
	of map[*oauth.Principal]*made
}

type made struct {
	launch Launch
	stamp  []message.MetaValue
}

// maxMade bounds a memo; beyond it everything is made anew.
const maxMade = 4096

// made returns what is made of a principal, nil for an anonymous one. The error is for the
// operator's log: no process can be started for the principal.
func (s *Settings) made(p *oauth.Principal) (*made, error) {
	s.memo.mu.RLock()
	known := s.memo.of[p]
	s.memo.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	launch, err := s.Launch(p)
	if err != nil {
		return nil, err
	}
	launch.Process.Env = slices.Clip(launch.Process.Env) // whoever appends gets a copy
	fresh := &made{launch, s.newStamp(p)}
	s.memo.mu.Lock()
	defer s.memo.mu.Unlock()
	if len(s.memo.of) >= maxMade {
		clear(s.memo.of)
	}
	s.memo.of[p] = fresh
	return fresh, nil
}

// launch says how to start a process for a principal.
func (s *Settings) launch(p *oauth.Principal) (Launch, error) {
	known, err := s.made(p)
	if err != nil {
		return Launch{}, err
	}
	return known.launch, nil
}

// stamp is what the gateway adds to the _meta of a message of the principal, for whom a
// process was started before.
func (s *Settings) stamp(p *oauth.Principal) []message.MetaValue {
	known, err := s.made(p)
	if err != nil {
		return s.newStamp(p) // it could not be started now
	}
	return known.stamp
}

func (s *Settings) newStamp(p *oauth.Principal) []message.MetaValue {
	if p == nil || !s.StampMeta {
		return nil
	}
	value, err := json.Marshal(p.Identity(s.StampClaims))
	if err != nil {
		// Claims come from JSON, so they can be written as JSON.
		panic("bridge: identity of a verified token: " + err.Error())
	}
	return []message.MetaValue{{Key: identity.MetaKey, Value: value}}
}
