package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// maxProofBytes bounds a DPoP proof. One with a P-256 key has half a KiB, one with
	// the largest RSA key that is accepted three.
	maxProofBytes = 8 << 10
	// maxProofIDBytes bounds the jti of a proof.
	maxProofIDBytes = 256
	// ProofLife is how long after its iat a DPoP proof is accepted, clock skew aside.
	// A client makes one for each request, so it need only outlast the way here.
	ProofLife = time.Minute
)

// Error codes of RFC 9449 sections 7.1 and 9.
const (
	CodeInvalidProof = "invalid_dpop_proof"
	CodeUseNonce     = "use_dpop_nonce"
)

// proof is a DPoP proof (RFC 9449 section 4.2) whose signature is by the key in it.
type proof struct {
	key    string // its thumbprint
	claims map[string]any
}

// proofRules are the rules of RFC 9449 section 4.3 that depend on no request.
type proofRules struct {
	algorithms []string
	target     string // the resource, in the form of comparableTarget
	skew       time.Duration
}

// parseProof takes a proof apart and checks its form, its key and its signature:
// checks 2 and 4 to 7 of RFC 9449 section 4.3.
func parseProof(raw string, allowed []string) (*proof, *Error) {
	if len(raw) > maxProofBytes {
		return nil, badProof("longer than 8 KiB")
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, encoded, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(encoded, ".") {
		return nil, badProof("not one signed JWT of three parts")
	}
	members, err := decodeSegment(header)
	if err != nil {
		return nil, badProof("header: " + err.Error())
	}
	if members["typ"] != "dpop+jwt" {
		return nil, badProof("typ: not dpop+jwt")
	}
	if _, ok := members["crit"]; ok {
		return nil, badProof("crit: critical header extensions are not accepted")
	}
	name, _ := members["alg"].(string)
	alg := findAlgorithm(name)
	if alg == nil || !slices.Contains(allowed, name) {
		return nil, badProof("alg: not an accepted algorithm")
	}
	key, refusal := proofKey(members["jwk"], name)
	if refusal != nil {
		return nil, refusal
	}
	signature, err := decodeBase64(encoded)
	if err != nil || alg.method.Verify(raw[:len(header)+1+len(payload)], signature, key) != nil {
		return nil, badProof("signature: does not verify with the key in jwk")
	}
	p := &proof{key: thumbprint(key)}
	if p.claims, err = decodeSegment(payload); err != nil {
		return nil, badProof("payload: " + err.Error())
	}
	return p, nil
}

// privateMembers are those of a JWK that only its owner may see (RFC 7518 section
// 6). A client that sends one has given its key away.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// proofKey reads the public key in a proof's header, which must be one for the
// proof's algorithm and of a size that is accepted for tokens, too.
func proofKey(value any, alg string) (any, *Error) {
	members, ok := value.(map[string]any)
	if !ok {
		return nil, badProof("jwk: missing, or not an object")
	}
	for _, name := range privateMembers {
		if has(members, name) {
			return nil, badProof("jwk: has a private or symmetric key in it")
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		return nil, badProof("jwk: cannot be read")
	}
	key, algs, err := parseKey(raw)
	if err != nil {
		return nil, badProof("jwk: " + err.Error())
	}
	if !slices.Contains(algs, alg) {
		return nil, badProof("jwk: the key is not for the algorithm in alg")
	}
	return key.Key(), nil
}

// check holds the proof to the request and to the token that came with it: checks
// 3, 8, 9 and 12 of RFC 9449 section 4.3.
func (c *proofRules) check(p *proof, method, token string) *Error {
	if id, ok := p.claims["jti"].(string); !ok || id == "" || len(id) > maxProofIDBytes {
		return badProof("jti: not a string of 1 to 256 bytes")
	}
	if p.claims["htm"] != method {
		return badProof("htm: not the method of the request")
	}
	htu, _ := p.claims["htu"].(string)
	target, ok := comparableTarget(htu)
	if !ok {
		return badProof("htu: missing, or not an absolute URL")
	}
	if target != c.target {
		return badProof(fmt.Sprintf("htu: the proof is for %.200q, wanted is %q", target, c.target))
	}
	sum := sha256.Sum256([]byte(token))
	ath, _ := p.claims["ath"].(string)
	if !equal(ath, base64.RawURLEncoding.EncodeToString(sum[:])) {
		return badProof("ath: missing, or not the hash of the access token")
	}
	return nil
}

// checkAge holds the proof to the window in which it is accepted (check 11), and
// returns when it was issued.
func (c *proofRules) checkAge(p *proof, now time.Time) (issued time.Time, _ *Error) {
	issued, _, ok := numericDate(p.claims, "iat")
	switch {
	case !ok:
		return issued, badProof("iat: missing, or not a number of seconds")
	case now.Before(issued.Add(-c.skew)):
		return issued, badProof("iat: in the future")
	case !now.Before(issued.Add(c.window())):
		return issued, badProof("iat: the proof is too old")
	}
	return issued, nil
}

// window is how long after it was issued a proof is accepted.
func (c *proofRules) window() time.Duration { return ProofLife + c.skew }

// equal compares without telling by its time where two strings differ.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// badProof is a proof that is no good (RFC 9449 section 7.1). The reason has no
// bytes of it.
func badProof(reason string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInvalidProof,
		Scheme:      SchemeDPoP,
		Description: "The DPoP proof is invalid",
		Reason:      "DPoP proof: " + reason,
	}
}
