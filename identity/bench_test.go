package identity_test

import (
	"encoding/json"
	"testing"

	"github.com/snapgate/snapgate/identity"
)

// Each call of each user is read once in one of these ways.
func BenchmarkFromParams(b *testing.B) {
	params := []byte(stampedParams)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identity.FromParams(params); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFromMeta(b *testing.B) {
	var params struct {
		Meta map[string]any `json:"_meta"`
	}
	if err := json.Unmarshal([]byte(stampedParams), &params); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identity.FromMeta(params.Meta); err != nil {
			b.Fatal(err)
		}
	}
}
