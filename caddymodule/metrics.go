package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// meter counts for Caddy's metrics what must go on counting over reloads. No label names
// a user, a session or an issuer: those come from outside, and each value costs memory.
type meter struct {
	collectors     []prometheus.Collector
	lookups        map[oauth.Lookup]prometheus.Counter
	keyFetches     map[bool]prometheus.Counter
	introspections map[bool]prometheus.Counter
}

// metrics is the one meter of the process.
var metrics = newMeter()

func newMeter() *meter {
	m := &meter{
		lookups:        map[oauth.Lookup]prometheus.Counter{},
		keyFetches:     map[bool]prometheus.Counter{},
		introspections: map[bool]prometheus.Counter{},
	}
	lookups := m.counters("token_lookups_total", "Access tokens that requests brought: remembered (hit), being verified for another request (shared), or verified anew (miss).", "result")
	for _, l := range []oauth.Lookup{oauth.LookupHit, oauth.LookupShared, oauth.LookupMiss} {
		m.lookups[l] = lookups.WithLabelValues(string(l)) // looked up once: each request counts
	}
	fetches := m.counters("key_fetches_total", "Fetches of the key sets of issuers.", "outcome")
	introspections := m.counters("introspections_total", "Questions to introspection endpoints about tokens.", "outcome")
	for _, good := range []bool{true, false} {
		m.keyFetches[good] = fetches.WithLabelValues(outcome(good))
		m.introspections[good] = introspections.WithLabelValues(outcome(good))
	}
	return m
}

func (m *meter) counters(name, help, label string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "snapgate", Name: name, Help: help}, []string{label})
	m.collectors = append(m.collectors, vec)
	return vec
}

// register adds the collectors to the registry of a configuration: each has its own.
func (m *meter) register(registry *prometheus.Registry) error {
	for _, collector := range m.collectors {
		err := registry.Register(collector)
		if known := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &known) {
			return err
		}
	}
	return nil
}

func outcome(good bool) string {
	if good {
		return "ok"
	}
	return "failed"
}

// TokenLookedUp implements [oauth.Meter].
func (m *meter) TokenLookedUp(l oauth.Lookup) { m.lookups[l].Inc() }

// KeysFetched implements [oauth.Meter].
func (m *meter) KeysFetched(good bool) { m.keyFetches[good].Inc() }

// Introspected implements [oauth.Meter].
func (m *meter) Introspected(answered bool) { m.introspections[answered].Inc() }

// Interface guards
var _ oauth.Meter = (*meter)(nil)
