package identitytest

import (
	"context"
	"time"
)

// separationChecks are about users who behave: each sees their own data, and no one
// else's.
func separationChecks() []check {
	return []check{
		{ownData, "a user sees what they wrote", []string{handshake}, seesOwn},
		{otherUser, "a user does not see what another wrote, in one process", []string{ownData}, seesNoOther},
		{"other-issuer", "the same subject of another issuer is another user", []string{otherUser}, seesNoNamesake},
		{"same-user-again", "a user with a newer token is the same user", []string{otherUser}, isRecognised},
	}
}

func seesOwn(ctx context.Context, t *trial) error {
	c, alice, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	return t.mustSee(ctx, c, alice, wrote, "at once")
}

func seesNoOther(ctx context.Context, t *trial) error {
	return t.apart(ctx, t.user("alice"), t.user("bob"),
		"in one process a user sees what another wrote: the server does not look at the identity of each call, or keeps the first one",
		"in one process a user sees what another wrote later: the server does not look at the identity of each call")
}

func seesNoNamesake(ctx context.Context, t *trial) error {
	alice := t.user("alice")
	namesake := alice
	namesake.issuer = otherIssuer
	const finding = "users of two issuers with the same subject share their data: a subject is unique within its issuer only, so keep data by user, or by issuer and subject"
	return t.apart(ctx, alice, namesake, finding, finding)
}

// apart holds that two users do not see one another's data, whoever comes first.
func (t *trial) apart(ctx context.Context, first, second user, finding, later string) error {
	c, one, err := t.servedAs(ctx, first)
	if err != nil {
		return err
	}
	if err := t.mustNotSee(ctx, c, second, one, finding); err != nil {
		return err
	}
	other, err := t.writes(ctx, c, second)
	if err != nil {
		return err
	}
	if err := t.mustNotSee(ctx, c, first, other, later); err != nil {
		return err
	}
	if err := t.mustSee(ctx, c, first, one, "after another user wrote"); err != nil {
		return err
	}
	return t.mustSee(ctx, c, second, other, "after another user read")
}

// isRecognised gives a user a token of another client with another lifetime, other
// scopes beside those needed, and a claim.
func isRecognised(ctx context.Context, t *trial) error {
	c, alice, wrote, err := t.served(ctx)
	if err != nil {
		return err
	}
	if _, err := t.writes(ctx, c, t.user("bob")); err != nil {
		return err
	}
	newer := alice.identity()
	newer.ClientID = "another-client"
	newer.Scopes = append([]string{"more"}, newer.Scopes...)
	newer.Expires = time.Now().Add(2 * time.Hour).Unix()
	newer.Claims = map[string]any{"email": "alice@example.com"}
	said, err := c.do(ctx, t.read(wrote, stampOf(newer)))
	switch {
	case err != nil:
		return err
	case said.refusal != "":
		return found("a user with a newer token was refused: %s", said.refusal)
	case !shows(said, wrote):
		return found("a user with a newer token does not see what they wrote: the server tells users apart by more than issuer and subject")
	}
	return nil
}
