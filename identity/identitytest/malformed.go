package identitytest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/snapgate/snapgate/identity"
)

// hugeClaims is the size of the claims in bytes: more than any gateway sends.
const hugeClaims = 1 << 20

// malformedChecks are about values under the right key that no gateway writes.
func malformedChecks() []check {
	needed := []string{missingIdentity, missingIdentityLater}
	return []check{
		{"invalid-user-key", "an identity whose user is not the key of its issuer and subject is refused", needed, refusesWrongKeys},
		{"wrong-types", "an identity whose members are missing, or of the wrong kind, is refused", needed, refusesWrongTypes},
		{"huge-claims", "claims of a mebibyte break nothing", []string{ownData}, survivesHugeClaims},
		{"expired-identity", "an identity that ended an hour ago is refused; else a warning", needed, refusesExpired},
	}
}

func refusesWrongKeys(ctx context.Context, t *trial) error {
	c, alice, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	bob := t.user("bob")
	for _, wrong := range []struct{ what, key string }{
		{"the key of another user", bob.key()}, {"no key", ""}, {"a key in upper case", strings.ToUpper(alice.key())},
		{"the subject for a key", alice.subject}, {"a path for a key", "../" + alice.key()},
	} {
		id := alice.identity()
		id.User = wrong.key
		for _, m := range []message{t.read(wrote, stampOf(id)), t.write(newValues(), stampOf(id))} {
			if err := t.mustRefuse(ctx, c, m, "an identity with "+wrong.what); err != nil {
				return err
			}
		}
	}
	stolen := bob.identity()
	stolen.User = alice.key()
	if err := t.mustRefuse(ctx, c, t.read(wrote, stampOf(stolen)), "an identity with the key of another user"); err != nil {
		return err
	}
	return t.mustSee(ctx, c, alice, wrote, "after invalid identities")
}

// wrongTypes are values of the key: each identity is a valid one in which one member
// was replaced, and null takes it out.
func wrongTypes(u user) map[string]json.RawMessage {
	values := map[string]json.RawMessage{
		"null": json.RawMessage(`null`), "true": json.RawMessage(`true`), "a number": json.RawMessage(`1`), "an empty object": json.RawMessage(`{}`),
		"a text": json.RawMessage(jsonOf(u.key())), "the JSON in a text": json.RawMessage(jsonOf(jsonOf(u.identity()))),
		"a list": json.RawMessage("[" + jsonOf(u.identity()) + "]"),
	}
	for _, name := range []string{"issuer", "subject", "user"} {
		own := map[string]any{"issuer": u.issuer, "subject": u.subject, "user": u.key()}
		value := own[name]
		for what, wrong := range map[string]any{
			"missing": nil, "empty": "", "a number": 1, "true": true, "in a list": []any{value}, "in an object": map[string]any{"toString": value},
		} {
			all := map[string]any{"client_id": "identitytest", "scopes": u.identity().Scopes, "expires": u.identity().Expires, "claims": map[string]any{}}
			maps.Copy(all, own)
			if all[name] = wrong; wrong == nil {
				delete(all, name)
			}
			values[fmt.Sprintf("an identity whose %s is %s", name, what)] = json.RawMessage(jsonOf(all))
		}
	}
	return values
}

func refusesWrongTypes(ctx context.Context, t *trial) error {
	c, alice, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	all := wrongTypes(alice)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		value := all[what]
		if err := t.mustRefuse(ctx, c, t.read(wrote, []member{{quote(identity.MetaKey), string(value)}}), what); err != nil {
			return err
		}
		if err := t.mustRefuse(ctx, c, t.write(newValues(), []member{{quote(identity.MetaKey), string(value)}}), what); err != nil {
			return err
		}
	}
	return t.mustSee(ctx, c, alice, wrote, "after identities of wrong types")
}

// survivesHugeClaims takes a refusal for as good as an answer.
func survivesHugeClaims(ctx context.Context, t *trial) error {
	c, alice, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	many := make(map[string]any)
	for i := range hugeClaims / 32 {
		many[fmt.Sprintf("claim-%08d", i)] = "0123456789"
	}
	for _, huge := range []struct {
		what   string
		claims map[string]any
	}{
		{"one claim of a mebibyte", map[string]any{"long": strings.Repeat("x", hugeClaims)}},
		{"a mebibyte of claims", many},
	} {
		id := alice.identity()
		id.Claims = huge.claims
		if _, err := c.do(ctx, t.read(wrote, stampOf(id))); err != nil {
			return found("a call with %s: %w", huge.what, err)
		}
		if err := t.mustSee(ctx, c, alice, wrote, "after a call with "+huge.what); err != nil {
			return err
		}
	}
	return nil
}

func refusesExpired(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	id := t.user("alice").identity()
	id.Expires = time.Now().Add(-time.Hour).Unix()
	said, err := c.do(ctx, t.write(newValues(), stampOf(id)))
	if err != nil {
		return err
	}
	if said.refusal == "" {
		return warning("an identity that ended an hour ago is served: the gateway lets no such call in, but a call that waited long may come late")
	}
	return nil
}
