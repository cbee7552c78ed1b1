package caddymodule

import (
	"crypto"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// Introspect is how tokens that are no JWTs are verified: their issuer is asked (RFC
// 7662).
type Introspect struct {
	// The introspection endpoint: https, or http on a loopback host. Required.
	URL string `json:"url,omitempty"`

	// The id that the issuer gave the gateway. Required.
	ClientID string `json:"client_id,omitempty"`

	// The secret that goes with it. Write a placeholder, such as {env.CLIENT_SECRET} or
	// {file./run/secrets/client}.
	ClientSecret string `json:"client_secret,omitempty"`

	// How the gateway authenticates itself: "basic" or "post" with the secret,
	// "private_key_jwt" with a key. Default: the last if there is a key, else basic.
	Auth string `json:"auth,omitempty"`

	// A PEM file with the private key, unencrypted: RSA, ECDSA or Ed25519.
	Key string `json:"key,omitempty"`

	// The kid under which the issuer knows the key. Default: none.
	KeyID string `json:"key_id,omitempty"`

	// Whose endpoint it is. Required with several issuers.
	Issuer string `json:"issuer,omitempty"`

	// What the issuer is asked about: "opaque", tokens that are no JWTs, or "all", with one
	// issuer only. Default: opaque.
	Tokens string `json:"tokens,omitempty"`

	key    crypto.Signer
	secret string // expanded: apart from ClientSecret, which Caddy logs where it traces handlers
}

// maxKeyFile bounds what is read of a key file.
const maxKeyFile = 64 << 10

const (
	tokensOpaque = "opaque"
	tokensAll    = "all"
)

// values are those in which global placeholders may stand, the secret apart.
func (i *Introspect) values() []*string {
	return []*string{&i.URL, &i.ClientID, &i.Key, &i.KeyID, &i.Issuer}
}

// check refuses what the engine does not see.
func (i *Introspect) check() error {
	if i.Tokens != "" && i.Tokens != tokensOpaque && i.Tokens != tokensAll {
		return fmt.Errorf("introspect: tokens %q: use %s or %s", i.Tokens, tokensOpaque, tokensAll)
	}
	if i.Key == "" && i.KeyID != "" {
		return fmt.Errorf("introspect: the key id %q names no key: write \"key <file> <key id>\"", i.KeyID)
	}
	return nil
}

// load reads secret and key.
func (i *Introspect) load() error {
	if err := i.check(); err != nil {
		return err
	}
	if i.ClientSecret != "" {
		var err error
		if i.secret, err = caddy.NewReplacer().ReplaceOrErr(i.ClientSecret, true, true); err != nil {
			return fmt.Errorf("introspect: client_secret: %w", err)
		}
	}
	if i.Key == "" {
		return nil
	}
	file, err := os.Open(i.Key)
	if err != nil {
		return fmt.Errorf("introspect: key: %w", err)
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return fmt.Errorf("introspect: key: %w", err)
	}
	if i.key, err = oauth.ParsePrivateKey(pem); err != nil {
		return fmt.Errorf("introspect: key %s: %w", i.Key, err)
	}
	return nil
}

func (i *Introspect) config() *oauth.Introspection {
	return &oauth.Introspection{
		Endpoint: i.URL, Issuer: i.Issuer, All: i.Tokens == tokensAll,
		Client: oauth.ClientAuth{ID: i.ClientID, Method: i.Auth, Secret: i.secret, Key: i.key, KeyID: i.KeyID},
	}
}

// parseIntrospect reads the introspect block.
func (m *directive) parseIntrospect(d *caddyfile.Dispenser) error {
	i := &Introspect{}
	m.oauth.Introspect = i
	if err := word(d, "introspect", &i.URL); err != nil {
		return fmt.Errorf("%w: the introspection endpoint, such as \"introspect https://auth.example.com/introspect\"", err)
	}
	text := func(name string, into *string) subdirective {
		return subdirective{name, func(d *caddyfile.Dispenser) error { return word(d, "introspect "+name, into) }}
	}
	return parseBlock(d, "introspect", nil, []subdirective{
		text("client_id", &i.ClientID),
		text("client_secret", &i.ClientSecret),
		text("auth", &i.Auth),
		{"key", func(d *caddyfile.Dispenser) error {
			args := d.RemainingArgs()
			if len(args) < 1 || len(args) > 2 {
				return d.Err("introspect key takes a PEM file and, if the issuer knows several keys, the id of this one")
			}
			i.Key = args[0]
			if len(args) == 2 {
				i.KeyID = args[1]
			}
			return nil
		}},
		text("issuer", &i.Issuer),
		text("tokens", &i.Tokens),
	})
}
