package oauth

import (
	"net/url"
	"strings"
)

// comparableTarget returns the form in which the htu of a DPoP proof is compared:
// without query and fragment (RFC 9449 section 4.3), scheme and host in lower
// case, no default port, no empty path (RFC 3986 section 6.2.3), percent-encoding
// in its one form (section 6.2.2). ok says whether the value is an absolute http or
// https URI without a user at all.
func comparableTarget(uri string) (target string, ok bool) {
	if end := strings.IndexAny(uri, "?#"); end >= 0 {
		uri = uri[:end]
	}
	if checkURICharacters(uri) != nil {
		return "", false
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	scheme, host := lowerASCII(u.Scheme), lowerASCII(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	host = strings.TrimSuffix(host, ":")
	path := normalPath(u.EscapedPath())
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, host != ""
}

// normalPath decodes what needs no percent-encoding and writes the rest in capital
// letters. The path has been parsed, so each % begins a triplet.
func normalPath(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		triplet := path[i : i+3]
		if decoded, err := url.PathUnescape(triplet); err == nil && isUnreserved(decoded[0]) {
			b.WriteByte(decoded[0])
		} else {
			b.WriteString(strings.ToUpper(triplet))
		}
		i += 2
	}
	return b.String()
}

// isUnreserved holds RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
