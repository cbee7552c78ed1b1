package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/snapgate/snapgate/identity"
)

// The params of a call, as the gateway writes them to a server.
const stampedParams = `{
	"name": "list_notes", "arguments": {"user": "mallory"},
	"_meta": {"io.github.snapgate/identity": {
		"issuer": "https://auth.example.com", "subject": "alice",
		"user": "h67l22ladaxbogmejh2vtaxvkm", "client_id": "my-client",
		"scopes": ["notes:read"], "expires": 1800000000, "claims": {"email": "alice@example.com"}
	}}
}`

func ExampleFromParams() {
	id, err := identity.FromParams([]byte(stampedParams))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(id.User, "is", id.Subject, "of", id.Issuer)
	fmt.Println("may read:", id.HasScope("notes:read"))
	fmt.Println("lacks:", id.MissingScopes("notes:read", "notes:write"))
	// Output:
	// h67l22ladaxbogmejh2vtaxvkm is alice of https://auth.example.com
	// may read: true
	// lacks: [notes:write]
}

// A key that only looks like the gateway's is not believed.
func ExampleFromMeta() {
	var meta map[string]any
	text := `{"IO.github.snapgate/Identity": {"issuer": "https://auth.example.com", "subject": "alice"}}`
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		fmt.Println(err)
		return
	}
	_, err := identity.FromMeta(meta)
	fmt.Println(errors.Is(err, identity.ErrMissing), err)
	// Output: true no verified identity in _meta["io.github.snapgate/identity"]
}

func ExampleParse() {
	_, err := identity.Parse([]byte(`{
		"issuer": "https://auth.example.com", "subject": "mallory",
		"user": "h67l22ladaxbogmejh2vtaxvkm"
	}`))
	fmt.Println(err)
	// Output: invalid identity in _meta["io.github.snapgate/identity"]: user "h67l22ladaxbogmejh2vtaxvkm" is not the key of its issuer and subject
}

// What reads the message puts the identity into the context, and what answers the
// call takes it from there.
func ExampleFromContext() {
	answer := func(ctx context.Context) string {
		id, ok := identity.FromContext(ctx)
		if !ok {
			return "refused"
		}
		return "notes of " + id.Subject
	}
	id, err := identity.FromParams([]byte(stampedParams))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer(identity.NewContext(context.Background(), id)))
	fmt.Println(answer(context.Background()))
	// Output:
	// notes of alice
	// refused
}

// The two minutes are for clocks that differ, and for the way through the pipe.
func ExampleIdentity_Expired() {
	id := &identity.Identity{Expires: 1_800_000_000}
	now := time.Unix(1_800_000_060, 0)
	fmt.Println(id.Expired(now), id.Expired(now.Add(-2*time.Minute)))
	// Output: true false
}

func ExampleUserKey() {
	fmt.Println(identity.UserKey("https://auth.example.com", "alice"))
	// Output: h67l22ladaxbogmejh2vtaxvkm
}
