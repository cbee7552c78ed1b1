package identitytest

import (
	"context"
	"encoding/json"

	"github.com/snapgate/snapgate/identity"
)

// absenceChecks are about messages that carry no identity.
func absenceChecks() []check {
	needed := []string{missingIdentity, missingIdentityLater, otherUser}
	return []check{
		{missingIdentity, "a call without an identity is refused", []string{ownData}, refusesNobody},
		{missingIdentityLater, "a call without an identity is refused after a user was served, too", []string{missingIdentity}, forgetsWhoCalled},
		{"environment", "the SNAPGATE_ variables neither stand for an identity nor beat one", needed, ignoresEnvironment},
		{"bare-notification", "a notification without an identity breaks nothing", []string{ownData}, survivesBareNotifications},
	}
}

func refusesNobody(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	v := newValues()
	if err := t.mustRefuse(ctx, c, t.write(v, nil), "a write without an identity"); err != nil {
		return err
	}
	return t.mustRefuse(ctx, c, t.read(v, nil), "a read without an identity")
}

func forgetsWhoCalled(ctx context.Context, t *trial) error {
	c, _, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	said, err := c.do(ctx, t.read(wrote, nil))
	switch {
	case err != nil:
		return err
	case shows(said, wrote):
		return found("a read without an identity shows what the user before wrote: the server keeps an identity beyond its call")
	case said.refusal == "":
		return found("a read without an identity, after a user's, was answered: %s", said.text())
	}
	return t.mustRefuse(ctx, c, t.write(newValues(), nil), "a write without an identity, after a user's")
}

// ignoresEnvironment gives a process the variables of a user. The gateway sets them
// where a process has one user; a server that relies on them gives everyone's data to
// that user as soon as it is shared.
func ignoresEnvironment(ctx context.Context, t *trial) error {
	alice, bob := t.user("alice"), t.user("bob")
	c, wrote, err := t.servedAs(ctx, alice, identity.EnvIssuer+"="+alice.issuer, identity.EnvSubject+"="+alice.subject, identity.EnvUser+"="+alice.key())
	if err != nil {
		return err
	}
	const finding = "the environment names one user and the call another, and the call is served as one of the first"
	if err := t.mustNotSee(ctx, c, bob, wrote, finding); err != nil {
		return err
	}
	others, err := t.writes(ctx, c, bob)
	if err != nil {
		return err
	}
	if err := t.mustNotSee(ctx, c, alice, others, finding); err != nil {
		return err
	}
	const without = "without an identity, in a process whose environment names a user,"
	if err := t.mustRefuse(ctx, c, t.read(wrote, nil), "a read "+without); err != nil {
		return err
	}
	return t.mustRefuse(ctx, c, t.write(newValues(), nil), "a write "+without)
}

func survivesBareNotifications(ctx context.Context, t *trial) error {
	c, alice, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, m := range []message{
		{method: "notifications/cancelled", params: map[string]json.RawMessage{"requestId": raw(`"none"`), "reason": raw(`"test"`)}},
		{method: "notifications/progress", params: map[string]json.RawMessage{"progressToken": raw(`"none"`), "progress": raw(`1`)}},
		{method: "notifications/roots/list_changed"},
		{method: "notifications/not-known-to-anyone"},
	} {
		if err := c.tell(m); err != nil {
			return found("%s without an identity: %v", m.method, err)
		}
		if err := t.mustSee(ctx, c, alice, wrote, "after "+m.method+" without an identity"); err != nil {
			return err
		}
	}
	return nil
}
