package identity_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/snapgate/snapgate/identity"
)

func alice() *identity.Identity {
	return &identity.Identity{
		Issuer:  "https://auth.example.com",
		Subject: "alice",
		User:    identity.UserKey("https://auth.example.com", "alice"),
		Scopes:  []string{"snapshot:read"},
		Expires: 1_800_000_000,
		Claims:  map[string]any{},
	}
}

func TestUserKeyIsStableAndSafeInAPath(t *testing.T) {
	// The value is part of the contract: databases on disk are named by it.
	const want = "h67l22ladaxbogmejh2vtaxvkm"
	got := identity.UserKey("https://auth.example.com", "alice")
	if got != want {
		t.Errorf("UserKey = %q, want %q", got, want)
	}
	if !regexp.MustCompile(`^[a-z2-7]{26}$`).MatchString(got) {
		t.Errorf("UserKey %q is not 26 characters of a-z, 2-7", got)
	}
}

func TestUserKeySeparatesIssuers(t *testing.T) {
	if identity.UserKey("https://a.example", "x") == identity.UserKey("https://b.example", "x") {
		t.Error("two issuers share a user key")
	}
}

func TestFromMetaReturnsWhatTheGatewayStamped(t *testing.T) {
	raw, err := json.Marshal(map[string]any{identity.MetaKey: alice()})
	if err != nil {
		t.Fatal(err)
	}
	var meta map[string]any
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	id, err := identity.FromMeta(meta)
	if err != nil {
		t.Fatal(err)
	}
	if id.Subject != "alice" || id.User != alice().User || !id.HasScope("snapshot:read") || id.HasScope("SNAPSHOT:READ") {
		t.Errorf("identity = %+v", id)
	}
}

func TestFromMetaWithoutIdentity(t *testing.T) {
	for name, meta := range map[string]map[string]any{
		"no meta":    nil,
		"other keys": {"progressToken": 1},
		"look-alike": {"io.github.Snapgate/identity": alice()},
		"null":       {identity.MetaKey: nil},
	} {
		if _, err := identity.FromMeta(meta); !errors.Is(err, identity.ErrMissing) {
			t.Errorf("%s: error = %v, want ErrMissing", name, err)
		}
	}
}

func TestParseRefusesWhatBreaksTheContract(t *testing.T) {
	for name, raw := range map[string]string{
		"not an object":   `"alice"`,
		"no issuer":       `{"subject":"alice","user":"x"}`,
		"no subject":      `{"issuer":"https://auth.example.com","user":"x"}`,
		"another's key":   `{"issuer":"https://auth.example.com","subject":"alice","user":"` + identity.UserKey("https://auth.example.com", "bob") + `"}`,
		"scopes a string": `{"issuer":"i","subject":"s","user":"u","scopes":"a b"}`,
	} {
		if _, err := identity.Parse([]byte(raw)); !errors.Is(err, identity.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
}

func TestExpired(t *testing.T) {
	id := alice()
	end := time.Unix(id.Expires, 0)
	if id.Expired(end.Add(-time.Second)) || !id.Expired(end) {
		t.Error("an identity expires at the second it names, not before")
	}
}
