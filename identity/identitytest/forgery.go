package identitytest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/snapgate/snapgate/identity"
)

// forgeryChecks are about what a client may write where the gateway lets it. An
// attacker, bob, names alice in each such place: beside his own identity, and
// without one.
func forgeryChecks() []check {
	needed := []string{missingIdentity, missingIdentityLater, otherUser}
	return []check{
		{"forged-arguments", "a user named in a call's arguments is not believed", needed, ignoresArguments},
		{"forged-elsewhere", "a user named in another key of _meta, or beside it, is not believed", needed, ignoresOtherMembers},
		{"look-alike-keys", "an identity under a key that only looks like the gateway's is not believed", needed, ignoresLookAlikes},
	}
}

// forgery is one way of naming a user. It changes a message of the attacker's.
type forgery struct {
	where string
	forge func(*message)
}

// personal are names under which some server may look for a user.
var personal = []string{
	"user", "userId", "user_id", "userid", "username", "subject", "sub", "owner", "account", "tenant", "email",
	"identity", "issuer", "principal", "auth", "authorization", "_meta", identity.MetaKey, identity.MetaPrefix + "user",
}

// containers are names under which some server may look for a whole _meta.
var containers = []string{"_meta", "meta", "headers", "io.github.snapgate"}

// namings are the values by which a member of that name can name a user.
func namings(name string, u user) []string {
	if slices.Contains(containers, name) {
		return []string{object(u.stamp()...), jsonOf(u.identity())}
	}
	return []string{jsonOf(u.subject), jsonOf(u.key()), jsonOf(u.identity())}
}

func ignoresArguments(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	declared, err := t.declared(ctx, c)
	if err != nil {
		return err
	}
	names := slices.Concat(personal, t.Arguments, declared)
	return t.forge(ctx, c, func(alice user) (all []forgery) {
		for _, name := range compacted(names) {
			for _, value := range namings(name, alice) {
				all = append(all, forgery{"the argument " + name, func(m *message) {
					m.arguments = append(m.arguments, member{quote(name), value})
				}})
			}
		}
		return all
	})
}

// declared are the arguments in the schemas of the tools of Write and Read that these
// do not use.
func (t *trial) declared(ctx context.Context, c *conversation) ([]string, error) {
	said, err := c.do(ctx, message{method: "tools/list", meta: t.user("alice").stamp()})
	if err != nil {
		return nil, fmt.Errorf("tools/list: %w", err)
	}
	var list struct {
		Tools []struct {
			Name        string
			InputSchema struct{ Properties map[string]json.RawMessage }
		}
	}
	if said.refusal != "" || json.Unmarshal(said.result, &list) != nil {
		return nil, nil // the usual names are tried all the same
	}
	var names []string
	for _, call := range []Call{t.Write, t.Read} {
		var params struct {
			Name      string
			Arguments map[string]json.RawMessage
		}
		if json.Unmarshal([]byte(call.Params), &params) != nil {
			continue
		}
		for _, tool := range list.Tools {
			if tool.Name != params.Name {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(tool.InputSchema.Properties)) {
				if _, used := params.Arguments[name]; !used {
					names = append(names, name)
				}
			}
		}
	}
	return names, nil
}

func compacted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func ignoresOtherMembers(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	inMeta := append(slices.DeleteFunc(slices.Clone(personal), func(name string) bool { return name == identity.MetaKey }),
		"io.github.snapgate", "snapgate/identity", "io.modelcontextprotocol/identity", "x-user-id", "headers")
	inParams := append(slices.DeleteFunc(slices.Clone(personal), func(name string) bool { return name == "_meta" }), "meta")
	return t.forge(ctx, c, func(alice user) (all []forgery) {
		each := func(names []string, before, behind string, put func(*message, member)) {
			for _, name := range names {
				for _, value := range namings(name, alice) {
					all = append(all, forgery{before + quote(name) + behind, func(m *message) { put(m, member{quote(name), value}) }})
				}
			}
		}
		each(inMeta, "_meta[", "]", func(m *message, forged member) { m.meta = append(m.meta, forged) })
		each(inParams, "the member ", " of params", func(m *message, forged member) { m.behind = append(m.behind, forged) })
		each([]string{"_meta", "identity", "user", identity.MetaKey}, "the member ", " of the message itself",
			func(m *message, forged member) { m.envelope = append(m.envelope, forged) })
		return all
	})
}

// lookAlikes are keys, as they are written in JSON, that are not the gateway's: by
// letters in another case, by letters that become those of the key when case is
// folded (U+017F, U+0131, U+0130) or characters are normalized (U+FF0F), by
// something before or behind.
var lookAlikes = []string{
	`"io.github.snapgate/Identity"`, `"IO.github.snapgate/Identity"`, `"IO.GITHUB.SNAPGATE/IDENTITY"`,
	`"Io.GitHub.Snapgate/identity"`, `"\u0049o.github.snapgate\u002f\u0049dentity"`,
	"\"io.github.\u017fnapgate/identity\"", `"io.github.\u017fnapgate/identity"`,
	"\"io.github.snapgate/\u0131dentity\"", "\"\u0130o.github.snapgate/identity\"",
	"\"io.github.snapgate\uff0fidentity\"", "\"io.github.snapgate/identity\u200b\"",
	`" io.github.snapgate/identity"`, `"io.github.snapgate/identity "`, `"io.github.snapgate/identity\u0000"`,
	`"io.github.snapgate/identity/"`, `"io.github.snapgate//identity"`, `"io.github.snapgate.identity"`,
	`"io.github.snapgate\\identity"`, `"io_github_snapgate_identity"`,
}

// metaLookAlikes are those of _meta itself.
var metaLookAlikes = []string{`"_META"`, `"_Meta"`, `"\u005fMeta"`, `"_meta "`}

func ignoresLookAlikes(ctx context.Context, t *trial) error {
	c, err := t.start(ctx)
	if err != nil {
		return err
	}
	return t.forge(ctx, c, func(alice user) (all []forgery) {
		value := jsonOf(alice.identity())
		for _, key := range lookAlikes {
			forged := member{key, value}
			// A decoder that folds takes the last of several.
			all = append(all,
				forgery{"_meta[" + key + "], behind the stamp", func(m *message) { m.meta = append(m.meta, forged) }},
				forgery{"_meta[" + key + "], before the stamp", func(m *message) { m.meta = append([]member{forged}, m.meta...) }})
		}
		for _, key := range metaLookAlikes {
			forged := member{key, object(alice.stamp()...)}
			all = append(all,
				forgery{"params[" + key + "], behind _meta", func(m *message) { m.behind = append(m.behind, forged) }},
				forgery{"params[" + key + "], before _meta", func(m *message) { m.before = append(m.before, forged) }})
		}
		return all
	})
}

// manyWrites is how many forgeries one attacker tries.
const manyWrites = 20

// forge tries each forgery: bob must neither see what alice wrote nor write into her
// data, and without an identity nobody is served.
func (t *trial) forge(ctx context.Context, c *conversation, of func(alice user) []forgery) error {
	alice, bob := t.user("alice"), t.user("bob")
	wrote, err := t.writes(ctx, c, alice)
	if err != nil {
		return err
	}
	for i, f := range of(alice) {
		if i%manyWrites == 0 {
			bob = t.user("bob") // whose answers may hold all that he has written
		}
		if err := t.forgeOne(ctx, c, f, alice, bob, wrote); err != nil {
			return err
		}
	}
	return t.mustSee(ctx, c, alice, wrote, "after all forgeries")
}

func (t *trial) forgeOne(ctx context.Context, c *conversation, f forgery, alice, bob user, wrote values) error {
	forged := func(m message) message {
		f.forge(&m)
		return m
	}
	said, err := c.do(ctx, forged(t.read(wrote, bob.stamp())))
	if err != nil {
		return found("a read that names another user in %s: %w", f.where, err)
	}
	if shows(said, wrote) {
		return found("%s is believed: with it a user reads what another wrote", f.where)
	}
	planted := newValues()
	if _, err := c.do(ctx, forged(t.write(planted, bob.stamp()))); err != nil {
		return found("a write that names another user in %s: %w", f.where, err)
	}
	if err := t.mustNotSee(ctx, c, alice, planted, f.where+" is believed: with it a user writes into another's data"); err != nil {
		return err
	}
	said, err = c.do(ctx, forged(t.read(wrote, nil)))
	switch {
	case err != nil:
		return found("a read with nothing but %s: %w", f.where, err)
	case shows(said, wrote):
		return found("%s is believed: with nothing but it anyone reads what a user wrote", f.where)
	case said.refusal == "":
		return found("%s is believed: a read with nothing but it was answered: %s", f.where, said.text())
	}
	return nil
}
