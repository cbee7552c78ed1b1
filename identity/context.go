package identity

import "context"

type contextKey struct{}

// NewContext returns a context that carries the identity of the request it is for.
// Only what has read it from a message ([FromMeta], [FromParams]) should make one.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the identity that [NewContext] put into the context, and
// whether there is one. Without one nobody was verified: refuse.
func FromContext(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(*Identity)
	return id, ok && id != nil
}
