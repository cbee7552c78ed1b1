package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Presentation says how a request must present its token. The zero value takes
// bearer tokens, and tokens that are bound to a key with the proof of it.
type Presentation struct {
	// TokenHeader names the header in which a platform in front puts a signed
	// assertion of who the user is. It takes the place of Authorization.
	TokenHeader string
	// Bound is what tokens must be bound by.
	Bound Bound
	// ProofAlgorithms are the accepted alg values of DPoP proofs. Default: those that
	// are accepted for tokens.
	ProofAlgorithms []string
	// RequireNonce wants a nonce of ours in each DPoP proof (RFC 9449 section 9).
	RequireNonce bool
}

// unfitHeaders mean something else, to a proxy, to a browser or to the gateway. Those of
// the connection are of RFC 9110 section 7.6.1.
var unfitHeaders = []string{
	"Authorization", "Proxy-Authorization", "Proxy-Authenticate", "Www-Authenticate", "Cookie", "Set-Cookie", "Dpop",
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Host", "Origin", "Accept", "Last-Event-Id", "Forwarded",
}

// unfitPrefixes begin the names of such headers.
var unfitPrefixes = []string{"Mcp-", "Content-", "Accept-", "Access-Control-", "Sec-", "X-Snapgate-"}

// validate returns p with its defaults filled in, or an error that names the setting
// and says what would be right.
func (p Presentation) validate(algorithms []string) (Presentation, error) {
	if !slices.Contains([]Bound{BoundNot, BoundDPoP, BoundMTLS, BoundAny}, p.Bound) {
		return p, fmt.Errorf("bound %q: use one of dpop, mtls, any", p.Bound)
	}
	for _, alg := range p.ProofAlgorithms {
		if err := checkAlgorithm(alg); err != nil {
			return p, fmt.Errorf("dpop algorithms: %w", err)
		}
	}
	if p.TokenHeader != "" {
		switch name := http.CanonicalHeaderKey(p.TokenHeader); {
		case !isFieldName(name):
			return p, fmt.Errorf("token_header %q: is not the name of a header, such as Cf-Access-Jwt-Assertion", p.TokenHeader)
		case slices.Contains(unfitHeaders, name), slices.ContainsFunc(unfitPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
			return p, fmt.Errorf("token_header %s: this header means something else; name the one that your platform writes, such as Cf-Access-Jwt-Assertion", name)
		default:
			p.TokenHeader = name
		}
		if p.Bound != BoundNot || len(p.ProofAlgorithms) > 0 || p.RequireNonce {
			return p, errors.New("token_header: the assertion of a platform is not bound to a key of the client, so bound and dpop cannot stand beside it")
		}
	}
	if len(p.ProofAlgorithms) == 0 {
		p.ProofAlgorithms = algorithms
	}
	return p, nil
}

// isFieldName holds RFC 9110 section 5.1.
func isFieldName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return name != ""
}
