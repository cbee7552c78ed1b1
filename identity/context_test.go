package identity_test

import (
	"context"
	"testing"

	"github.com/snapgate/snapgate/identity"
)

func TestContextCarriesTheIdentity(t *testing.T) {
	id := alice()
	ctx := identity.NewContext(context.Background(), id)
	if got, ok := identity.FromContext(ctx); !ok || got != id {
		t.Errorf("FromContext = %v, %v", got, ok)
	}
	// The context of a call that another one makes has the caller's no more.
	if got, ok := identity.FromContext(identity.NewContext(ctx, nil)); ok || got != nil {
		t.Errorf("FromContext = %v, %v, want none", got, ok)
	}
	if got, ok := identity.FromContext(context.Background()); ok || got != nil {
		t.Errorf("FromContext = %v, %v, want none", got, ok)
	}
}
