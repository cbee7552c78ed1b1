// Package oauth is an OAuth 2.0 resource server: it says who a bearer token
// speaks for, and how to answer when it speaks for nobody.
//
// A [Verifier] checks JWT access tokens (RFC 9068, RFC 8725) of one or more
// issuers. The issuer is chosen by the token's iss claim before any key is
// looked at, and the signature must then be by a key of that issuer. Keys are
// found through the issuer's metadata (RFC 8414, OpenID Connect Discovery) or at
// a configured address, fetched when first needed, refreshed in the background,
// and kept for a bounded time while the issuer is out of reach. Tokens that are no
// JWTs are verified by asking their issuer, if it can be asked (RFC 7662).
//
// An [Error] carries the HTTP status and the RFC 6750 code of a refusal and
// writes the WWW-Authenticate challenge. [Metadata] is the RFC 9728 document
// that a challenge points to.
//
// Three rules hold everywhere. A token never stands in a log or in an error. What
// cannot be decided because the issuer is out of reach is answered 503: never 401,
// which makes clients throw good tokens away, and never as if it were good. And
// nothing that a client sends makes the verifier do more than a bounded amount
// of work, more than one fetch in an interval, or more than a bounded number of
// questions at once.
package oauth
