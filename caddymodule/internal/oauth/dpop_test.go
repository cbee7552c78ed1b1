package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestProofLetsABoundTokenIn(t *testing.T) {
	b := newBorder(t, Presentation{})
	provers := map[string]prover{
		"RS256": {jwt.SigningMethodRS256, rsaKey()}, "PS256": {jwt.SigningMethodPS256, rsaKey()},
		"ES256": {jwt.SigningMethodES256, ecKey()}, "ES384": {jwt.SigningMethodES384, ec384Key()}, "EdDSA": edProver(),
	}
	for name, p := range provers {
		t.Run(name, func(t *testing.T) {
			token := b.bound(p)
			for range 2 { // the second time the token is in the cache
				b.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
			}
		})
	}
	p := edProver()
	token := b.bound(p)
	for name, claims := range map[string]map[string]any{
		"RFC 9449 4.3.9: query and fragment do not count":  {"htu": testResource + "?a=b#c"},
		"RFC 9449 4.3.9: scheme, host and port normalised": {"htu": "HTTPS://Snapshots.Example.com:443/%6dcp"},
		"RFC 9449 4.3.11: as old as may be":                {"iat": b.clock.now().Add(-89 * time.Second).Unix()},
		"RFC 9449 4.3.11: clock ahead within the skew":     {"iat": b.clock.now().Add(30 * time.Second).Unix()},
		"RFC 9449 4.2: claims of others":                   {"exp": 1, "x": "y"},
		"RFC 9449 4.3.10: a nonce that nobody gave":        {"nonce": "of another server"},
	} {
		t.Run(name, func(t *testing.T) {
			b.letIn(t, request("dpop", token, p.proof(b.clock, token, claims, nil)))
		})
	}
	r := request("DPoP", token, p.proof(b.clock, token, map[string]any{"htm": "GET"}, nil))
	r.Method = http.MethodGet
	b.letIn(t, r)
}

// The numbers are those of the checks in RFC 9449 section 4.3.
func TestBadProofsAreRefused(t *testing.T) {
	b := newBorder(t, Presentation{ProofAlgorithms: []string{"EdDSA", "ES256", "RS256"}})
	p := edProver()
	token := b.bound(p)
	proof := func(claims, header map[string]any) string { return p.proof(b.clock, token, claims, header) }
	good := proof(nil, nil)
	parts := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	public := func(more map[string]any) map[string]any {
		members := map[string]any{"kid": nil, "use": nil}
		for name, value := range more {
			members[name] = value
		}
		return map[string]any{"jwk": jwk("", edKey(), members)}
	}
	hash := sha256.Sum256([]byte(token + "x"))
	tests := []struct{ rule, name, proof, reason string }{
		{"4.3.2", "no JWT", "abc", "not one signed JWT"},
		{"4.3.2", "two parts", parts[0] + "." + parts[1], "not one signed JWT"},
		{"4.3.2", "encrypted", good + ".a.b", "not one signed JWT"},
		{"4.3.2", "two in one header", good + ", " + proof(nil, nil), "not one signed JWT"},
		{"4.3.2", "over 8 KiB", proof(map[string]any{"x": strings.Repeat("x", 8<<10)}, nil), "longer than 8 KiB"},
		{"4.3.2", "header no JSON", enc([]byte("{")) + "." + parts[1] + "." + parts[2], "header"},
		{"4.3.2", "padded base64", good + "=", "signature"},
		{"4.3.2", "payload a list", signedBy(p, `{"typ":"dpop+jwt","alg":"EdDSA","jwk":%s}`, "[]"), "payload"},
		{"4.3.2", "claim twice", signedBy(p, `{"typ":"dpop+jwt","alg":"EdDSA","jwk":%s}`, `{"jti":"a","jti":"b"}`), "payload"},
		{"4.3.3", "no jti", proof(map[string]any{"jti": nil}, nil), "jti"},
		{"4.3.3", "empty jti", proof(map[string]any{"jti": ""}, nil), "jti"},
		{"4.3.3", "jti a number", proof(map[string]any{"jti": 7}, nil), "jti"},
		{"4.3.3", "jti endless", proof(map[string]any{"jti": strings.Repeat("j", 257)}, nil), "jti"},
		{"4.3.3", "no htm", proof(map[string]any{"htm": nil}, nil), "htm"},
		{"4.3.3", "no htu", proof(map[string]any{"htu": nil}, nil), "htu"},
		{"4.3.3", "no iat", proof(map[string]any{"iat": nil}, nil), "iat"},
		{"4.3.3", "iat a string", proof(map[string]any{"iat": "now"}, nil), "iat"},
		{"4.3.4", "no typ", proof(nil, map[string]any{"typ": nil}), "typ"},
		{"4.3.4", "typ of an access token", proof(nil, map[string]any{"typ": "at+jwt"}), "typ"},
		{"4.3.5", "alg none", enc([]byte(`{"typ":"dpop+jwt","alg":"none"}`)) + "." + parts[1] + ".", "alg"},
		{"4.3.5", "alg missing", enc([]byte(`{"typ":"dpop+jwt"}`)) + "." + parts[1] + "." + parts[2], "alg"},
		{"4.3.5", "alg symmetric", mint(jwt.SigningMethodHS256, []byte("secret"), "", jwt.MapClaims{}, map[string]any{"typ": "dpop+jwt", "jwk": map[string]any{"kty": "oct", "k": "c2VjcmV0"}}), "alg"},
		{"4.3.5", "alg not in the list", prover{jwt.SigningMethodES384, ec384Key()}.proof(b.clock, token, nil, nil), "alg"},
		{"4.3.6", "signature of another", proof(nil, nil)[:len(good)-4] + "AAAA", "signature"},
		{"4.3.6", "payload changed", parts[0] + "." + enc([]byte(`{"jti":"x"}`)) + "." + parts[2], "signature"},
		{"4.3.6", "no signature", parts[0] + "." + parts[1] + ".", "signature"},
		{"4.3.6", "no key", proof(nil, map[string]any{"jwk": nil}), "jwk: missing"},
		{"4.3.6", "key is no object", proof(nil, map[string]any{"jwk": "x"}), "jwk: missing"},
		{"4.3.6", "key of another type", proof(nil, map[string]any{"jwk": jwk("", ecKey(), nil)}), "jwk: the key is not for"},
		{"4.3.6", "key is for encryption", proof(nil, public(map[string]any{"use": "enc"})), "jwk: use"},
		{"4.3.6", "key too weak", prover{jwt.SigningMethodRS256, weakRSAKey()}.proof(b.clock, token, nil, nil), "jwk: fits no algorithm"},
		{"4.3.6", "point not on the curve", proof(nil, map[string]any{"alg": "ES256", "jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": enc(make([]byte, 32)), "y": enc(make([]byte, 32))}}), ""},
		{"4.3.6", "critical extension", proof(nil, map[string]any{"crit": []string{"b64"}, "b64": false}), "crit"},
		{"4.3.7", "private key", proof(nil, public(map[string]any{"d": enc(edKey().Seed())})), "jwk: has a private"},
		{"4.3.7", "private key that is null", proof(nil, map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": enc(edKey()[32:]), "d": nil}}), "jwk: has a private"},
		{"4.3.7", "symmetric key", proof(nil, map[string]any{"jwk": map[string]any{"kty": "oct", "k": "c2VjcmV0"}}), "jwk: has a private"},
		{"4.3.8", "another method", proof(map[string]any{"htm": "GET"}, nil), "htm"},
		{"4.3.8", "method in small letters", proof(map[string]any{"htm": "post"}, nil), "htm"},
		{"4.3.8", "several methods", proof(map[string]any{"htm": []string{"POST", "GET"}}, nil), "htm"},
		{"4.3.9", "another server", proof(map[string]any{"htu": "https://evil.example.com/mcp"}, nil), "htu"},
		{"4.3.9", "the Host of the request", proof(map[string]any{"htu": "http://another.name:8080/inside"}, nil), "htu"},
		{"4.3.9", "another path", proof(map[string]any{"htu": testResource + "/"}, nil), "htu"},
		{"4.3.9", "path in capitals", proof(map[string]any{"htu": "https://snapshots.example.com/MCP"}, nil), "htu"},
		{"4.3.9", "in the clear", proof(map[string]any{"htu": "http://snapshots.example.com/mcp"}, nil), "htu"},
		{"4.3.9", "another port", proof(map[string]any{"htu": "https://snapshots.example.com:8443/mcp"}, nil), "htu"},
		{"4.3.9", "with a user", proof(map[string]any{"htu": "https://a@snapshots.example.com/mcp"}, nil), "htu"},
		{"4.3.9", "not absolute", proof(map[string]any{"htu": "/mcp"}, nil), "htu"},
		{"4.3.9", "no string", proof(map[string]any{"htu": []string{testResource}}, nil), "htu"},
		{"4.3.11", "too old", proof(map[string]any{"iat": b.clock.now().Add(-90 * time.Second).Unix()}, nil), "iat: the proof is too old"},
		{"4.3.11", "from the future", proof(map[string]any{"iat": b.clock.now().Add(31 * time.Second).Unix()}, nil), "iat: in the future"},
		{"4.3.12", "no ath", proof(map[string]any{"ath": nil}, nil), "ath"},
		{"4.3.12", "ath of another token", proof(map[string]any{"ath": enc(hash[:])}, nil), "ath"},
	}
	for _, test := range tests {
		t.Run(test.rule+" "+test.name, func(t *testing.T) {
			r := request("DPoP", token, "")
			r.Header["Dpop"] = []string{test.proof}
			e := b.keptOut(t, r, "invalid_dpop_proof")
			if e.Status != 401 || e.Scheme != SchemeDPoP || !strings.HasPrefix(e.Reason, "DPoP proof: "+test.reason) {
				t.Errorf("refused with %d under %s: %q, want %q", e.Status, e.Scheme, e.Reason, test.reason)
			}
			for part := range strings.SplitSeq(test.proof, ".") {
				if len(part) > 8 && strings.Contains(e.Error()+e.Description, part) {
					t.Errorf("the error has bytes of the proof: %v", e)
				}
			}
		})
	}
	if n := b.verifier.proofs.len(); n != 0 {
		t.Errorf("%d proofs are remembered that were refused", n)
	}
	b.letIn(t, request("DPoP", token, good))
}

// signedBy signs text that no library would write. The header has a place for the key.
func signedBy(p prover, header, payload string) string {
	key := must(json.Marshal(jwk("", p.key, map[string]any{"kid": nil})))
	return signRaw(fmt.Sprintf(header, key), payload)
}

// A proof by a key that is not the token's: RFC 9449 section 7.1.
func TestProofByAnotherKeyIsRefused(t *testing.T) {
	b := newBorder(t, Presentation{})
	mallory := prover{jwt.SigningMethodES256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	token := b.bound(edProver())
	e := b.keptOut(t, request("DPoP", token, mallory.proof(b.clock, token, nil, nil)), "invalid_token")
	if e.Status != 401 || e.Scheme != SchemeDPoP || !strings.Contains(e.Reason, "another key") {
		t.Errorf("refusal is %#v", e)
	}
	if b.verifier.proofs.len() != 0 {
		t.Error("a proof of a key that is nobody's is remembered")
	}
}

// The vectors of RFC 9449 sections 6.1 and 7.1, of RFC 7638 section 3.1 and of RFC 8037
// appendix A.3.
func TestVectorsOfTheRFCs(t *testing.T) {
	const token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	const raw = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19." +
		"eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9." +
		"2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	p, refusal := parseProof(raw, Algorithms())
	if refusal != nil {
		t.Fatal(refusal)
	}
	if p.key != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("thumbprint is %s", p.key)
	}
	rules := proofRules{target: "https://resource.example.org/protectedresource"}
	if refusal := rules.check(p, "GET", token); refusal != nil {
		t.Error(refusal)
	}
	key, _, err := parseKey([]byte(`{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`))
	if err != nil || thumbprint(key.Key()) != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("thumbprint of the RSA key is %s, %v", thumbprint(key.Key()), err)
	}
	key, _, err = parseKey([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	if err != nil || thumbprint(key.Key()) != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("thumbprint of the Ed25519 key is %s, %v", thumbprint(key.Key()), err)
	}
	if got := thumbprint(crypto.PublicKey("x")); got != "" {
		t.Errorf("thumbprint of what is no key: %s", got)
	}
}

// A proof that is found good is by the key in it and says what it is found to say,
// read again by another decoder; whatever else comes in is refused as a proof is.
func FuzzDPoPProof(f *testing.F) {
	p := edProver()
	key := string(must(json.Marshal(jwk("", p.key, map[string]any{"kid": nil}))))
	now := time.Unix(1_000_000, 0)
	sum := sha256.Sum256([]byte("token"))
	claims := `{"jti":"a","htm":"POST","htu":"` + testResource + `","iat":1000000,"ath":"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"}`
	f.Add(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+key+`}`, claims, false)
	f.Add(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+key+`,"crit":[]}`, claims, false)
	f.Add(`{"typ":"JWT","alg":"none"}`, strings.ReplaceAll(claims, "/mcp", "/%6Dcp?x"), false)
	f.Add("a.b.c", "", true)
	rules := proofRules{target: testResource, skew: 30 * time.Second}
	f.Fuzz(func(t *testing.T, header, payload string, plain bool) {
		raw := header
		if !plain {
			raw = signRaw(header, payload)
		}
		parsed, refusal := parseProof(raw, Algorithms())
		if refusal == nil {
			refusal = rules.check(parsed, "POST", "token")
		}
		if refusal == nil {
			_, refusal = rules.checkAge(parsed, now)
		}
		if refusal != nil {
			if refusal.Code != CodeInvalidProof || refusal.Status != 401 || refusal.Scheme != SchemeDPoP || len(refusal.Reason) > 1000 {
				t.Fatalf("refusal is %#v", refusal)
			}
			return
		}
		var h, c map[string]any // not structs, whose fields match names in any case
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &c) != nil {
			t.Fatalf("accepted, and no JSON: %q %q", header, payload)
		}
		id, _ := c["jti"].(string)
		issued, _ := c["iat"].(float64)
		if h["typ"] != "dpop+jwt" || h["alg"] != "EdDSA" || c["htm"] != "POST" || id == "" || issued < 1_000_000-90 || issued > 1_000_000+31 {
			t.Fatalf("accepted: %q %q", header, payload)
		}
		if parsed.key != thumbprint(p.key.Public()) {
			t.Fatalf("accepted for the key %q: %q", parsed.key, header)
		}
	})
}
