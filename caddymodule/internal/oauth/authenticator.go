package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Authenticator says who sends a request: it takes the token from it, has a
// [Verifier] check that, and holds the sender to the key that the token is bound to.
// It is safe for concurrent use.
type Authenticator struct {
	verifier     *Verifier
	presentation Presentation
	proofs       proofRules
}

// NewAuthenticator checks how tokens are to be presented. The error names the
// setting. What is remembered of proofs and nonces belongs to the verifier and its
// [Config.Proofs], so that all authenticators of one verifier share it.
func NewAuthenticator(v *Verifier, p Presentation) (*Authenticator, error) {
	p, err := p.validate(v.cfg.Algorithms)
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	target, ok := comparableTarget(v.cfg.Resource)
	if !ok {
		return nil, fmt.Errorf("oauth: resource %q: is no address that a DPoP proof could be for", v.cfg.Resource)
	}
	return &Authenticator{
		verifier: v, presentation: p,
		proofs: proofRules{algorithms: p.ProofAlgorithms, target: target, skew: v.cfg.skew()},
	}, nil
}

// Authenticate returns whom the token of a request speaks for; see
// [Verifier.Verify]. It sets DPoP-Nonce in the header of the answer where the client
// needs another nonce.
//
// The error is always an [*Error]: beside those of Verify, 401 without a code where
// there is no token, 401 invalid_dpop_proof or use_dpop_nonce, 400 invalid_request
// where the request is malformed, 429 or 503 where no further proof can be remembered
// for the user or for anyone, and 403 in place of 401 where a platform in front
// answers for the user: then there is nothing that the client could do.
func (a *Authenticator) Authenticate(r *http.Request, answer http.Header) (*Principal, error) {
	c, refusal := requestCredentials(r, a.presentation.TokenHeader)
	if refusal != nil {
		return nil, a.attribute(refusal, c)
	}
	p, err := a.verifier.Verify(r.Context(), c.token)
	if err != nil {
		return nil, a.attribute(err, c)
	}
	if refusal := a.checkSender(r, c, p, answer); refusal != nil {
		return nil, a.attribute(refusal, c)
	}
	return p, nil
}

// checkSender holds a request to what its token is bound to (RFC 9449 section 7, RFC
// 8705 section 3). The token itself has been found good.
func (a *Authenticator) checkSender(r *http.Request, c credentials, user *Principal, answer http.Header) *Error {
	bound := user.Confirmation
	if refusal := bound.checkCertificate(r.TLS); refusal != nil {
		return refusal
	}
	if refusal := a.presentation.Bound.check(bound); refusal != nil {
		return refusal
	}
	switch {
	case c.scheme == SchemeDPoP && bound.JKT == "":
		return refuse("cnf: the token came under the DPoP scheme and is bound to no key")
	case c.scheme == SchemeDPoP:
		return a.checkProof(r.Method, c, user, answer)
	case bound.JKT != "":
		// RFC 9449 section 7.2: whoever stole it could say Bearer.
		return refuse("cnf: the token is bound to a key and came without a DPoP proof")
	}
	return nil
}

// checkProof checks the proof that came with a bound token. What costs little comes
// first, and nothing is remembered of a proof that is no good.
func (a *Authenticator) checkProof(method string, c credentials, user *Principal, answer http.Header) *Error {
	p, refusal := parseProof(c.proof, a.proofs.algorithms)
	if refusal != nil {
		return refusal
	}
	if !equal(p.key, user.Confirmation.JKT) {
		return refuse("cnf: the token is bound to another key than that of the DPoP proof")
	}
	if refusal := a.proofs.check(p, method, c.token); refusal != nil {
		return refusal
	}
	now := a.verifier.cfg.Now()
	if refusal := a.checkNonce(p, now, answer); refusal != nil {
		return refusal
	}
	issued, refusal := a.proofs.checkAge(p, now)
	if refusal != nil {
		return refusal
	}
	id, _ := p.claims["jti"].(string)
	return a.verifier.proofs.use(user.User, p.key, id, issued, a.proofs.window(), now)
}

// checkNonce holds a proof to a nonce of ours, where one is required. A client that
// has none, or an old one, is told the one to use (RFC 9449 sections 8.2 and 9).
func (a *Authenticator) checkNonce(p *proof, now time.Time, answer http.Header) *Error {
	if !a.presentation.RequireNonce {
		return nil
	}
	nonce, _ := p.claims["nonce"].(string)
	ok, old := a.verifier.nonces.good(nonce, now)
	if !ok || old {
		answer.Set("DPoP-Nonce", a.verifier.nonces.current(now))
	}
	if ok {
		return nil
	}
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeUseNonce,
		Description: "The DPoP proof must have the nonce that is in DPoP-Nonce",
		Reason:      "DPoP proof: nonce: missing, or not one that is good now",
	}
}

// attribute adds to an error under which scheme it arose. Where a platform answers
// for the user there is no challenge that a client could follow, and so no 401 (RFC
// 9110 section 15.5.2).
func (a *Authenticator) attribute(err error, c credentials) *Error {
	var fault *Error
	if !errors.As(err, &fault) {
		fault = &Error{Status: http.StatusServiceUnavailable, Reason: err.Error()}
	}
	attributed := *fault // others may hold it, too
	if c.scheme != "" {
		attributed.Scheme = c.scheme
	}
	if a.presentation.TokenHeader != "" && fault.Status == http.StatusUnauthorized {
		attributed.Status = http.StatusForbidden
		attributed.Description = "The platform in front of this server has not said who you are, or what it said is not accepted"
	}
	return &attributed
}

// Expired refuses a request whose token was good and has ended before anything was
// answered. It is told where and how the token was sent, as all refusals are.
func (a *Authenticator) Expired(p *Principal) *Error {
	refusal := refuse("exp: the token has expired before there was an answer")
	refusal.Description = "The access token expired"
	return a.attribute(refusal, credentials{scheme: p.Scheme()})
}

// Schemes are those under which a client may send its token, for the challenge: none
// where a platform sends it.
func (a *Authenticator) Schemes() []Scheme {
	bearer, dpop := Scheme{Name: SchemeBearer}, Scheme{Name: SchemeDPoP, Algorithms: a.presentation.ProofAlgorithms}
	switch {
	case a.presentation.TokenHeader != "":
		return nil
	case a.presentation.Bound == BoundDPoP:
		return []Scheme{dpop}
	case a.presentation.Bound == BoundMTLS:
		return []Scheme{bearer}
	}
	return []Scheme{bearer, dpop}
}

// TokenHeader is the header that a platform's assertion comes in, "" for none.
func (a *Authenticator) TokenHeader() string { return a.presentation.TokenHeader }
