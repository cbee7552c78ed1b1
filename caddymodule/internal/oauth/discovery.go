package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// issuerMetadata are the members of an authorization server's metadata that a
// resource server has use for (RFC 8414 section 2).
type issuerMetadata struct {
	Issuer               string   `json:"issuer"`
	JWKSURI              string   `json:"jwks_uri"`
	CodeChallengeMethods []string `json:"code_challenge_methods_supported"`
}

// hasPKCE says whether clients can use S256, without which MCP clients refuse
// the authorization server.
func (m *issuerMetadata) hasPKCE() bool {
	return slices.Contains(m.CodeChallengeMethods, "S256")
}

// metadataURLs are the places where an issuer's metadata may be, in the order in
// which MCP clients try them: RFC 8414 section 3.1, OpenID Connect in the same
// form (section 5), and OpenID Connect Discovery section 4.
func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil // refused when the verifier was made
	}
	origin := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	urls := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		urls = append(urls, origin+path+"/.well-known/openid-configuration")
	}
	return urls
}

// discover returns the metadata of an issuer from the first place that has it.
// The error says what was wrong at each place.
func discover(ctx context.Context, fetch *fetcher, issuer string) (*issuerMetadata, error) {
	var failures []error
	for _, address := range metadataURLs(issuer) {
		body, err := fetch.get(ctx, address)
		if err == nil {
			var m *issuerMetadata
			if m, err = parseIssuerMetadata(body, issuer); err == nil {
				return m, nil
			}
			err = fmt.Errorf("%s: %w", address, err)
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("no metadata of issuer %s: %w", issuer, errors.Join(failures...))
}

// parseIssuerMetadata wants the document to be the issuer's own: its issuer must
// be identical (RFC 8414 section 3.3), or one tenant could speak for another.
func parseIssuerMetadata(body []byte, issuer string) (*issuerMetadata, error) {
	var m issuerMetadata
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, errors.New("is not a JSON object with authorization server metadata")
	}
	if m.Issuer != issuer {
		return nil, fmt.Errorf("names issuer %q, not %q as configured; they must be identical, a trailing slash included", m.Issuer, issuer)
	}
	if m.JWKSURI == "" {
		return nil, errors.New("has no jwks_uri; name the key set with jwks")
	}
	if err := checkEndpoint(m.JWKSURI); err != nil {
		return nil, fmt.Errorf("jwks_uri %q: %w", m.JWKSURI, err)
	}
	// Loopback in the clear is for an issuer that is itself there. An outside
	// issuer must not send the gateway to services of its own machine.
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(lowerASCII(m.JWKSURI), "https:") {
		return nil, fmt.Errorf("jwks_uri %q: must be https, as the issuer is", m.JWKSURI)
	}
	return &m, nil
}
