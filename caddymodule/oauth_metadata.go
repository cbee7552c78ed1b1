package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"unicode"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// MetadataSettings are what clients are told of a resource before they have a token.
type MetadataSettings struct {
	// The name of the resource, which clients show to people.
	ResourceName string `json:"resource_name,omitempty"`

	// The address of a page for developers.
	ResourceDocumentation string `json:"resource_documentation,omitempty"`

	// Whether the metadata of the issuer is served at the root of the resource's host, too,
	// for clients of MCP 2025-03-26, which look only there. Only with one issuer, and where
	// one mcp_oauth stands on the host. Default: no.
	IssuerMetadata bool `json:"issuer_metadata,omitempty"`
}

// checkMetadata refuses what clients could not use.
func (o *OAuth) checkMetadata() error {
	for _, r := range o.ResourceName {
		if unicode.IsControl(r) {
			return fmt.Errorf("resource_name: has the control character %q", r)
		}
	}
	if address := o.ResourceDocumentation; address != "" {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("resource_documentation %q: write the address of a page, such as https://docs.example.com/mcp", address)
		}
	}
	if o.IssuerMetadata && o.TokenHeader != "" {
		return errors.New("issuer_metadata is for clients that log in themselves, and with token_header the platform does that for them: leave one of the two out")
	}
	if o.IssuerMetadata {
		document, err := oauth.NewIssuerDocument(o.config())
		if err != nil {
			return err
		}
		document.Close()
	}
	return nil
}

// metadataPaths are the paths at which this handler serves documents to anyone.
type metadataPaths struct {
	inserted string // with the resource's path, unescaped
	root     bool   // without it, too
	issuer   bool   // the issuer's own
}

func (m metadataPaths) holds(path string) bool {
	return path == m.inserted || m.root && path == metadataRoot || m.issuer && path == oauth.IssuerMetadataPath
}

// publish begins to serve the metadata.
func (o *OAuth) publish(trails []trail) error {
	inserted, err := url.PathUnescape(oauth.MetadataPath(o.Resource))
	if err != nil {
		return err
	}
	alone := aloneOnHost(trails)
	o.served = metadataPaths{inserted: inserted, root: alone, issuer: alone && o.IssuerMetadata}
	if !o.IssuerMetadata {
		return nil
	}
	if !alone {
		o.log.Error("issuer_metadata: several mcp_oauth stand on this host, and the address of the document belongs to no one of them, so it is not served: give each a host of its own, or leave issuer_metadata out")
		return nil
	}
	o.issuerDocument, err = oauth.NewIssuerDocument(o.config())
	return err
}

// document is what is served to a request without a token, nil if nothing is.
func (o *OAuth) document(r *http.Request) http.Handler {
	switch path := r.URL.Path; {
	case o.lends(path) && o.whole.keeper.wait(r.Context()) == nil && o.whole.served.holds(path):
		return o.whole.metadata
	case !o.served.holds(path):
		return nil
	case path == oauth.IssuerMetadataPath:
		return o.issuerDocument
	}
	return o.metadata
}

// lends says whether a path is that of another's metadata, which comes here.
func (o *OAuth) lends(path string) bool { return o.whole != nil && path == metadataRoot }

// findWholeHosts finds for each mcp_oauth with a path the one that has none on the same hosts. The
// metadata of that one is at the root, which the routes of the others take first: it may be
// theirs if they are alone.
func findWholeHosts(all []placed) {
	for _, h := range all {
		o, ok := h.handler.(*OAuth)
		if !ok {
			continue
		}
		for _, other := range all {
			if whole, ok := other.handler.(*OAuth); ok && whole != o && slices.ContainsFunc(other.trails, func(t trail) bool { return t.hasWholeHostsOf(h.trails) }) {
				o.whole = whole
			}
		}
	}
}

// hasWholeHostsOf says whether a trail asks for no path, and for no hosts but such as all of some
// others lead through.
func (t trail) hasWholeHostsOf(others []trail) bool {
	for _, other := range others {
		hosts := t.hosts == nil || other.hosts != nil && within(other.hosts, t.hosts, hostWithin)
		if t.server != other.server || !hosts || len(other.called()) == 0 {
			return false
		}
	}
	return len(t.called()) == 0 && len(others) > 0
}

// called are the paths that a trail asks for, without those of metadata.
func (t trail) called() []string {
	return slices.DeleteFunc(slices.Clone(t.paths), isWellKnown)
}

// checkIssuerMetadata says plainly if clients will not find the copy of the issuer's
// metadata.
func (o *OAuth) checkIssuerMetadata(trails []trail) {
	if !o.served.issuer || len(trails) == 0 {
		return
	}
	u, err := url.Parse(o.Resource)
	if err != nil {
		return // it was parsed before
	}
	address := u.Scheme + "://" + u.Host + oauth.IssuerMetadataPath
	if ok, blocked := reaches(trails, o, address); !ok {
		o.log.Warn("the copy of the issuer's metadata cannot be reached: let requests for its path come to the same handler, outside of any handle, handle_path or matcher that leaves it out",
			"address", address, "instead", blocked, "path", oauth.IssuerMetadataPath)
	}
}

// aloneOnHost says whether no other mcp_oauth answers on the hosts of this one, so that
// the root form of the metadata can only mean this resource.
func aloneOnHost(trails []trail) bool {
	for _, t := range trails {
		hosts := t.hosts
		if hosts == nil {
			hosts = []string{""}
		}
		for _, host := range hosts {
			if len(protectedOn(t.server, host)) > 1 {
				return false
			}
		}
	}
	return true
}

func (m *directive) parseIssuerMetadata(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("issuer_metadata: unexpected %q: it stands alone", d.Val())
	}
	m.oauth.IssuerMetadata = true
	return nil
}
