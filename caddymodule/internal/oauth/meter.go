package oauth

// Lookup is how a token's verdict was found.
type Lookup string

// The values of [Lookup].
const (
	LookupHit    Lookup = "hit"    // it was remembered
	LookupShared Lookup = "shared" // another request was finding it
	LookupMiss   Lookup = "miss"   // it was found anew
)

// Meter counts what a verifier does. Its methods are called while requests wait, from
// any number of goroutines.
type Meter interface {
	// TokenLookedUp counts a token that a request brought.
	TokenLookedUp(Lookup)
	// KeysFetched counts a fetch of an issuer's keys.
	KeysFetched(good bool)
	// Introspected counts a question to an issuer about a token.
	Introspected(answered bool)
}

// unmetered is a Meter that counts nothing.
type unmetered struct{}

func (unmetered) TokenLookedUp(Lookup) {}
func (unmetered) KeysFetched(bool)     {}
func (unmetered) Introspected(bool)    {}
