package caddymodule

import (
	"net/url"
	"strings"
)

// around finds paths by which requests come to the proxy behind an mcp_oauth without
// passing it. Servers may take such a path for the endpoint's own: routers ignore a final
// slash, and case. The first return value names what is reached, "" if nothing is.
func around(trails []trail, o *OAuth) (proxy, path string) {
	for _, t := range trails {
		endpoint := &url.URL{Host: "localhost", Path: "/"}
		if len(t.hosts) > 0 {
			endpoint.Host = t.hosts[0]
		}
		if path, err := derivePath(t.paths); err == nil && path != "" {
			endpoint.Path = path
		}
		behind := t.follow(endpoint, o)
		if behind.by == nil {
			continue
		}
		for _, path := range []string{strings.TrimSuffix(endpoint.Path, "/") + "/", "/", metadataRoot + "/elsewhere"} {
			beside := t.follow(&url.URL{Host: endpoint.Host, Path: path}, nil)
			if beside.by == behind.by {
				return beside.answered, path
			}
		}
	}
	return "", ""
}

// follow simulates a request that one mcp_oauth, if any, lets through.
func (t trail) follow(u *url.URL, passed *OAuth) *simulation {
	s := &simulation{server: t.server, passed: passed}
	s.routes(t.server.Routes, s.request(u))
	return s
}
