package devauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Schemes that a browser would run or read instead of handing to an application.
var refusedSchemes = []string{"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem", "ws", "wss", "ftp"}

// checkRedirectURI says whether a client may have this redirection URI: https,
// http on loopback (RFC 8252 section 7.3), or a private-use scheme (section 7.1).
// The reverse domain name that section 7.1 asks for in such a scheme is not
// required, since the editors in use have schemes like cursor and vscode.
func checkRedirectURI(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("not a URI")
	}
	switch {
	case u.Scheme == "":
		return errors.New("not an absolute URI")
	case strings.Contains(raw, "#"):
		return errors.New("has a fragment (RFC 6749 section 3.1.2)")
	case u.User != nil:
		return errors.New("has user information")
	case slices.Contains(refusedSchemes, u.Scheme):
		return errors.New("has a scheme that no application receives")
	case (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() == "":
		return errors.New("has no host")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return errors.New("plain http is for loopback only (RFC 8252 section 7.3)")
	}
	return nil
}

// redirectRegistered matches by simple string comparison, save that the port of
// an http loopback URI is free: a native application takes whatever port it gets
// (RFC 8252 section 7.3). The OAuth library does the same but takes localhost and
// 127.0.0.1 for one host, and http and https for one scheme.
func redirectRegistered(registered []string, raw string) bool {
	if slices.Contains(registered, raw) {
		return true
	}
	u, err := url.Parse(raw)
	if err != nil || checkRedirectURI(raw) != nil || u.Scheme != "http" {
		return false
	}
	return slices.ContainsFunc(registered, func(other string) bool {
		o, err := url.Parse(other)
		return err == nil && o.Scheme == "http" && loopbackHost(o.Hostname()) &&
			o.Hostname() == u.Hostname() && o.EscapedPath() == u.EscapedPath() && o.RawQuery == u.RawQuery
	})
}
