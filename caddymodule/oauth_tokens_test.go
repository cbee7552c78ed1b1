package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

func TestTokenSettingsReachTheVerifier(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SNAPGATE_TEST_KEY", file)
	t.Setenv("SNAPGATE_TEST_SECRET", "s3cret")
	t.Setenv("SNAPGATE_TEST_TENANT", "acme")
	config := func(introspect string) oauth.Config {
		t.Helper()
		p := provision(t, `mcp.example.com {
	mcp /mcp {
		stdio snapshotd
		oauth https://auth.example.com {
			require tenant {env.SNAPGATE_TEST_TENANT} other
			require email_verified true
			introspect https://auth.example.com/introspect {
				client_id gateway
				`+introspect+`
			}
			cache {
				size 0
				ttl 90s
			}
		}
	}
}`)
		// Caddy logs handlers as JSON where it traces.
		if text, err := json.Marshal(p.oauths[0]); err != nil || strings.Contains(string(text), "s3cret") {
			t.Errorf("%v %s", err, text)
		}
		return p.oauths[0].config()
	}

	byKey := config("key {env.SNAPGATE_TEST_KEY} key-1\n\t\t\t\ttokens all")
	client := byKey.Introspection.Client
	if client.ID != "gateway" || client.KeyID != "key-1" || !key.Equal(client.Key) || !byKey.Introspection.All || byKey.Introspection.Endpoint != "https://auth.example.com/introspect" {
		t.Errorf("introspection %+v", byKey.Introspection)
	}
	if r := byKey.Require; len(r) != 2 || r[0].Claim != "tenant" || r[0].Values[0] != "acme" || r[0].Values[1] != "other" || r[1].Values[0] != "true" {
		t.Errorf("required %+v", r)
	}
	if byKey.CacheSize != -1 || byKey.CacheTTL != 90*time.Second || byKey.Meter != metrics {
		t.Errorf("cache of %d for %v, meter %v", byKey.CacheSize, byKey.CacheTTL, byKey.Meter)
	}

	bySecret := config("client_secret {env.SNAPGATE_TEST_SECRET}\n\t\t\t\tauth post").Introspection
	if c := bySecret.Client; c.Secret != "s3cret" || c.Method != oauth.AuthPost || c.Key != nil || bySecret.All {
		t.Errorf("introspection %+v", bySecret)
	}
}
