package caddymodule

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// counted reads what a registry shows, as name and value of the label.
func counted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if n := len(metric.GetLabel()); n != 1 {
				t.Errorf("%s has %d labels", family.GetName(), n)
			}
			values[family.GetName()+" "+metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
		}
	}
	return values
}

func TestCountersGoOnInTheRegistryOfEachConfiguration(t *testing.T) {
	m := newMeter()
	first, second := prometheus.NewPedanticRegistry(), prometheus.NewPedanticRegistry()
	for range 2 { // two handlers of one configuration
		if err := m.register(first); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := counted(t, first)["snapgate_token_lookups_total miss"]; got != 0 || !ok {
		t.Errorf("before any token: %v, %v", got, ok)
	}
	m.TokenLookedUp(oauth.LookupMiss)
	m.TokenLookedUp(oauth.LookupHit)
	if err := m.register(second); err != nil {
		t.Fatal(err)
	}
	m.TokenLookedUp(oauth.LookupHit)
	m.TokenLookedUp(oauth.LookupShared)
	m.KeysFetched(true)
	m.KeysFetched(false)
	m.Introspected(true)
	want := map[string]float64{
		"snapgate_token_lookups_total hit": 2, "snapgate_token_lookups_total miss": 1, "snapgate_token_lookups_total shared": 1,
		"snapgate_key_fetches_total ok": 1, "snapgate_key_fetches_total failed": 1,
		"snapgate_introspections_total ok": 1, "snapgate_introspections_total failed": 0,
	}
	for _, registry := range []*prometheus.Registry{first, second} {
		got := counted(t, registry)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %v, want %v", name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("counted %v", got)
		}
	}
}

func TestForeignCollectorOfTheSameNameIsNoticed(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "snapgate_token_lookups_total", Help: "another"}, []string{"other"}))
	if err := newMeter().register(registry); err == nil {
		t.Error("registered beside it")
	}
}
