package oauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// checkEndpoint says whether an issuer or its keys may be fetched from an
// address: https, so that the answer is the issuer's own, or plain http on this
// machine, for development.
func checkEndpoint(address string) error {
	if err := checkURICharacters(address); err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("is not a URL: %w", errors.Unwrap(err))
	}
	switch {
	case u.Host == "" || u.Hostname() == "":
		return errors.New("must be an absolute URL, with https:// and a host")
	case strings.Contains(u.Host, ","):
		return errors.New("has a comma in its host; separate several values by spaces")
	case u.User != nil:
		return errors.New("must not contain a user name or password")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && IsLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return errors.New("must be https; http is for loopback hosts only")
	}
	return fmt.Errorf("must be https, not %q", u.Scheme)
}

// IsLoopback says whether a host name stands for this machine (RFC 6761 section
// 6.3, RFC 8252 section 7.3).
func IsLoopback(host string) bool {
	host = lowerASCII(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkURICharacters refuses what RFC 3986 section 2 does not allow in a URI.
// url.Parse takes spaces and non-ASCII letters, which have no single meaning
// when two URIs are compared.
func checkURICharacters(uri string) error {
	for _, r := range uri {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) {
			return fmt.Errorf("contains %q; percent-encode it, and write a host in its ASCII form", r)
		}
	}
	return nil
}

// lowerASCII lower-cases A to Z and nothing else: Unicode folding would make the
// Kelvin sign a k.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
