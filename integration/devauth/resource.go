package devauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// canonicalResource is the form in which resource identifiers are compared:
// scheme and host in lower case, the rest as it is, the root with no slash. RFC
// 8707 section 2 wants an absolute URI without fragment.
func canonicalResource(resource string) (string, error) {
	u, err := url.Parse(resource)
	if err != nil {
		return "", err
	}
	switch {
	case u.Scheme == "" || u.Opaque != "" || u.Host == "":
		return "", errors.New("not an absolute URI with a host")
	case strings.Contains(resource, "#"):
		return "", errors.New("has a fragment (RFC 8707 section 2)")
	case u.User != nil:
		return "", errors.New("has user information")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Path == "/" {
		u.Path = ""
	}
	return u.String(), nil
}

// sameResource compares in canonical form; what is malformed equals nothing.
func sameResource(a, b string) bool {
	x, err := canonicalResource(a)
	if err != nil {
		return false
	}
	y, err := canonicalResource(b)
	return err == nil && x == y
}

// requestedResources maps the resource parameters of a request to the allowed
// ones, each in the spelling of the allow list, since that is what the resource
// server compares the audience with. The error is invalid_target.
func requestedResources(asked, allowed []string) ([]string, error) {
	if len(asked) == 0 {
		return nil, oidc.ErrInvalidTarget().WithDescription("resource is required (RFC 8707)")
	}
	var resources []string
	for _, resource := range asked {
		i := slices.IndexFunc(allowed, func(known string) bool { return sameResource(known, resource) })
		if i < 0 {
			return nil, oidc.ErrInvalidTarget().WithDescription("the requested resource is malformed or not known here")
		}
		if !slices.Contains(resources, allowed[i]) {
			resources = append(resources, allowed[i])
		}
	}
	return resources, nil
}

// resourcesToGrant is [requestedResources] at the authorization endpoint. A
// client that names none gets the only resource there is (RFC 9068 section 3 has
// such a default), because clients from before 2025-06-18 send none.
func (s *Server) resourcesToGrant(asked []string) ([]string, error) {
	s.mu.Lock()
	allowed := slices.Clone(s.resources)
	s.mu.Unlock()
	if len(asked) == 0 && len(allowed) == 1 {
		return allowed, nil
	}
	return requestedResources(asked, allowed)
}
