package oauth

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/snapgate/snapgate/identity"
)

// maxSubjectBytes bounds what names a user or a client. OpenID Connect Core
// section 2 has 255 characters for sub.
const maxSubjectBytes = 1024

// lastSecond is the end of the year 9999, the last that RFC 3339 can write.
const lastSecond = 253402300799

// claimsRules are the rules on the claims of a token whose signature is good.
type claimsRules struct {
	audience    map[string]bool // in comparable form
	subject     string
	scopeClaims []string
	require     []Requirement
	skew        time.Duration
}

// principal checks the claims of issuer's token at a time and returns whom it
// speaks for.
func (c *claimsRules) principal(issuer string, claims map[string]any, now time.Time) (*Principal, *Error) {
	expires, refusal := c.checkTimes(claims, now)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkAudience(claims); refusal != nil {
		return nil, refusal
	}
	if refusal := checkKind(claims); refusal != nil {
		return nil, refusal
	}
	bound, refusal := confirmation(claims)
	if refusal != nil {
		return nil, refusal
	}
	subject, refusal := name(claims, c.subject)
	if refusal != nil {
		return nil, refusal
	}
	if subject == "" {
		return nil, refuse(c.subject + ": missing or empty, and it names the user")
	}
	clientID, refusal := clientID(claims)
	if refusal != nil {
		return nil, refusal
	}
	scopes, refusal := c.scopes(claims)
	if refusal != nil {
		return nil, refusal
	}
	// Last, for only of a good token may it be told whom it admits.
	for _, r := range c.require {
		if reason := r.unmet(claims); reason != "" {
			return nil, notAdmitted(reason, identity.UserKey(issuer, subject))
		}
	}
	return &Principal{
		Issuer:       issuer,
		Subject:      subject,
		SubjectClaim: c.subject,
		User:         identity.UserKey(issuer, subject),
		ClientID:     clientID,
		Scopes:       scopes,
		Expires:      expires,
		Confirmation: bound,
		Claims:       claims,
	}, nil
}

// checkTimes holds RFC 7519 sections 4.1.4 to 4.1.6. exp is required (RFC 9068
// section 2.2); a token from the future is refused as well, for its issuer's
// clock, and so its exp, cannot be trusted.
func (c *claimsRules) checkTimes(claims map[string]any, now time.Time) (time.Time, *Error) {
	expires, present, ok := numericDate(claims, "exp")
	switch {
	case !present:
		return time.Time{}, refuse("exp: missing")
	case !ok:
		return time.Time{}, refuse("exp: not a number of seconds")
	case !now.Before(expires.Add(c.skew)):
		refusal := refuse("exp: the token has expired")
		refusal.Description = "The access token expired"
		return time.Time{}, refusal
	}
	for _, claim := range []string{"nbf", "iat"} {
		from, present, ok := numericDate(claims, claim)
		switch {
		case !present:
		case !ok:
			return time.Time{}, refuse(claim + ": not a number of seconds")
		case now.Before(from.Add(-c.skew)):
			return time.Time{}, refuse(claim + ": in the future")
		}
	}
	return expires, nil
}

// numericDate reads seconds since the epoch (RFC 7519 section 2).
func numericDate(claims map[string]any, claim string) (t time.Time, present, ok bool) {
	value, present := claims[claim]
	if !present {
		return time.Time{}, false, false
	}
	var seconds int64
	switch v := value.(type) {
	case int64:
		seconds = v
	case float64:
		if math.IsNaN(v) || v < 0 || v > lastSecond {
			return time.Time{}, true, false
		}
		seconds = int64(v)
	default:
		return time.Time{}, true, false
	}
	if seconds < 0 || seconds > lastSecond {
		return time.Time{}, true, false
	}
	return time.Unix(seconds, 0), true, true
}

// checkAudience wants one of the token's audiences to be ours (RFC 9068 section
// 4, RFC 8707): a token for another resource must not work here.
func (c *claimsRules) checkAudience(claims map[string]any) *Error {
	audiences, ok := stringOrList(claims["aud"])
	if !ok || len(audiences) == 0 {
		return refuse("aud: missing, or neither a string nor a list of strings")
	}
	if slices.ContainsFunc(audiences, func(aud string) bool { return c.audience[comparableResource(aud)] }) {
		return nil
	}
	refusal := refuse(fmt.Sprintf("aud: the token is for %.200q, wanted is one of %.200q", audiences, slices.Sorted(maps.Keys(c.audience))))
	refusal.Description = "The access token is for another resource"
	return refusal
}

// checkKind refuses what is signed by the issuer and yet no access token: id
// tokens (RFC 9068 section 5; the hashes are of OpenID Connect Core section
// 3.3.2.11, the other marks those of Cognito, Keycloak and Hydra).
func checkKind(claims map[string]any) *Error {
	for _, claim := range []string{"at_hash", "c_hash", "s_hash"} {
		if has(claims, claim) {
			return refuse(claim + ": this is an id token")
		}
	}
	// token_type is of introspection, which also knows refresh tokens (RFC 7662 section 2.2).
	for _, claim := range []string{"token_use", "token_type", "typ"} {
		kind, _ := claims[claim].(string)
		switch lowerASCII(kind) {
		case "id", "id_token", "refresh", "refresh_token", "offline", "logout", "logout_token":
			return refuse(claim + ": the claim names another kind of token")
		}
	}
	// A nonce goes into id tokens (OpenID Connect Core section 2). Some issuers have put
	// it into access tokens as well, but those say for whom or for what they are.
	if has(claims, "nonce") && !has(claims, "client_id") && !has(claims, "scope") && !has(claims, "scp") && !has(claims, "jti") {
		return refuse("nonce: this is an id token")
	}
	return nil
}

func has(claims map[string]any, name string) bool {
	_, ok := claims[name]
	return ok
}

// clientID returns who the user let in (RFC 9068 section 2.2), or else azp of
// OpenID Connect, or cid, which Okta writes, or nothing. No standard has cid, so one
// that is no string means something else and is passed over.
func clientID(claims map[string]any) (string, *Error) {
	for _, claim := range []string{"client_id", "azp"} {
		if id, refusal := name(claims, claim); refusal != nil || id != "" {
			return id, refusal
		}
	}
	if _, ok := claims["cid"].(string); !ok {
		return "", nil
	}
	return name(claims, "cid")
}

// name reads a claim, "" if it is not there, that will stand in logs, in file names' digests and in
// messages to the server. A line feed in it could make two users one.
func name(claims map[string]any, claim string) (string, *Error) {
	value := claims[claim]
	if value == nil {
		return "", nil
	}
	s, ok := value.(string)
	if !ok {
		return "", refuse(claim + ": not a string")
	}
	if len(s) > maxSubjectBytes {
		return "", refuse(claim + ": longer than 1024 bytes")
	}
	if hasControl(s) {
		return "", refuse(claim + ": has a control character")
	}
	return s, nil
}

// hasControl finds control characters and the two line breaks of Unicode that
// are none.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

// scopes gathers what the scope claims grant, in order, each once (RFC 9068
// section 2.2.3, RFC 8693 section 4.2). What is no scope token is left out: no
// rule could ask for it.
func (c *claimsRules) scopes(claims map[string]any) ([]string, *Error) {
	granted := []string{}
	for _, claim := range c.scopeClaims {
		var candidates []string
		value, _ := FindClaim(claims, claim)
		switch v := value.(type) {
		case nil:
			continue
		case string:
			candidates = strings.Split(v, " ")
		default:
			list, ok := stringOrList(v)
			if !ok {
				return nil, refuse(claim + ": neither a string nor a list of strings")
			}
			candidates = list
		}
		for _, scope := range candidates {
			if isScopeToken(scope) && !slices.Contains(granted, scope) {
				granted = append(granted, scope)
			}
		}
	}
	return granted, nil
}

// stringOrList reads a claim that is one string or a list of them.
func stringOrList(value any) ([]string, bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, true
	case []any:
		list := make([]string, 0, len(v))
		for _, element := range v {
			s, ok := element.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	}
	return nil, false
}
