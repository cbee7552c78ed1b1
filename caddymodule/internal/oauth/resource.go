package oauth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// metadataRoot is the well-known path of RFC 9728 section 3.
const metadataRoot = "/.well-known/oauth-protected-resource"

// CanonicalResource returns a resource identifier in the form in which it is
// advertised and compared: scheme and host in lower case, no slash after a bare
// host, all else as it is. The error says what would be right. A resource is an
// absolute https URI without user, query or fragment (RFC 8707 section 2, RFC
// 9728 section 1.2); http is accepted for loopback hosts.
func CanonicalResource(uri string) (string, error) {
	fail := func(why string) (string, error) {
		return "", fmt.Errorf("resource %q: %s", uri, why)
	}
	if uri == "" {
		return "", errors.New("resource: is missing; write the URL that clients use, such as https://snapshots.example.com/mcp")
	}
	if err := checkEndpoint(uri); err != nil {
		return fail(err.Error())
	}
	u, err := url.Parse(uri)
	if err != nil {
		return fail("is not a URL")
	}
	if before, _, found := strings.Cut(uri, "#"); found {
		return fail("must have no fragment; write " + before)
	}
	if before, _, found := strings.Cut(uri, "?"); found {
		return fail("must have no query; write " + before)
	}
	port := u.Port()
	if strings.HasSuffix(u.Host, ":") || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host := strings.TrimSuffix(u.Host, ":"+port)
		return fail("names the default port, which clients leave out; write " + u.Scheme + "://" + host + u.EscapedPath())
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return fail("must have no . or .. in its path")
		}
	}
	return comparableResource(uri), nil
}

// comparableResource returns the form in which two audience or resource values
// are the same when their strings are. Only http and https URIs have other
// forms: scheme and host compare without regard to case, and an empty path is the
// same as "/" (RFC 3986 section 6.2.3). Any other value compares exactly.
func comparableResource(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return value
	}
	scheme = lowerASCII(scheme)
	if scheme != "https" && scheme != "http" {
		return value
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	if strings.Contains(host, "@") {
		return value
	}
	if path == "/" {
		path = ""
	}
	return scheme + "://" + lowerASCII(host) + path
}

// MetadataPath returns the path of a resource's metadata document on its host:
// the well-known path put before the resource's own (RFC 9728 section 3.1). For
// a resource at the root it is the well-known path alone.
func MetadataPath(resource string) string {
	_, path := splitResource(resource)
	return metadataRoot + path
}

// MetadataURL returns the address of a resource's metadata document.
func MetadataURL(resource string) string {
	origin, path := splitResource(resource)
	return origin + metadataRoot + path
}

// splitResource cuts a resource into its origin and its path as it is written.
func splitResource(resource string) (origin, path string) {
	resource = comparableResource(resource)
	start := strings.Index(resource, "://")
	if start < 0 {
		return "", ""
	}
	start += len("://")
	slash := strings.IndexByte(resource[start:], '/')
	if slash < 0 {
		return resource, ""
	}
	return resource[:start+slash], resource[start+slash:]
}
