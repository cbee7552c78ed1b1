package integration_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// site is the configuration of one gateway, as the lines of its Caddyfile. The zero site
// is snapshotd in the mode in which it trusts the gateway, with its scopes.
type site struct {
	command []string // of the child; default snapshotd
	stdio   []string // lines in the stdio block
	oauth   []string // lines in the oauth block
	mcp     []string // further lines in the mcp block
	routes  []string // lines in the site, before mcp
	global  []string // lines in the global options
	log     []string // lines in the block of the access log
	servers []string // lines in the options of the server
	tls     []string // lines in the block of tls

	proxy     string   // host and port of an HTTP server in place of the child
	proxyWith []string // lines in the block of its reverse_proxy

	issuer    string // default the one of all tests
	anonymous bool   // in place of oauth
	plain     bool   // HTTP without TLS, under whatever name a client comes
	path      string // default /mcp
	admin     bool   // reload needs the admin endpoint, on a Unix socket
	protocols string // default h1 h2
}

// snapshotScopes are the scopes that snapshotd's own policy asks for.
var snapshotScopes = []string{
	"scopes {",
	"	tool save_snapshot snapshot:write",
	"	tool delete_snapshot snapshot:delete",
	"	tool * snapshot:read",
	"}",
}

// snapshots is snapshotd for many users, with its data below a folder.
func snapshots(data string) site {
	return site{
		command: []string{snapshotdBinary, "--auth", "trusted-meta", "--data", data},
		mcp:     snapshotScopes,
	}
}

// standin is the scriptable server with these flags.
func standin(flags ...string) site {
	return site{command: append([]string{standinBinary}, flags...)}
}

// caddyfile writes the site as it is served from a folder and a port.
func (s site) caddyfile(g *gateway) string {
	var b strings.Builder
	block := func(indent, head string, lines []string) {
		if len(lines) == 0 {
			fmt.Fprintf(&b, "%s%s\n", indent, head)
			return
		}
		fmt.Fprintf(&b, "%s%s {\n%s\t%s\n%s}\n", indent, head, indent, strings.Join(lines, "\n"+indent+"\t"), indent)
	}
	admin := "admin off"
	if s.admin {
		admin = "admin unix/" + g.adminSocket()
	}
	protocols := s.protocols
	if protocols == "" {
		protocols = "h1 h2"
	}
	block("", "", slices.Concat([]string{
		admin, "persist_config off", "skip_install_trust", "auto_https disable_redirects",
		"http_port " + strconv.Itoa(g.spare), "local_certs",
		"log {", "	output stderr", "	level DEBUG", "	format json", "}",
		"servers {", "	protocols " + protocols,
	}, s.servers, []string{"}"}, s.global))
	if s.plain {
		fmt.Fprintf(&b, "http://:%d {\n\tbind 127.0.0.1\n", g.port)
		s.oauth = append([]string{"resource " + g.url}, s.oauth...)
	} else {
		fmt.Fprintf(&b, "https://localhost:%d {\n\tbind 127.0.0.1\n", g.port)
		block("\t", "tls internal", s.tls)
	}
	block("\t", "log", s.log)
	for _, line := range s.routes {
		fmt.Fprintf(&b, "\t%s\n", line)
	}
	directive := "mcp"
	if s.proxy != "" {
		directive = "mcp_oauth"
	}
	fmt.Fprintf(&b, "\t%s %s {\n", directive, s.endpoint())
	if s.proxy == "" {
		block("\t\t", "stdio "+strings.Join(quoted(s.command), " "), append([]string{"env " + markName + " " + g.mark, "env GORACE " + promptExit}, s.stdio...))
	}
	if s.anonymous {
		b.WriteString("\t\tanonymous\n")
	} else {
		if s.issuer == "" {
			s.issuer = issuer.Issuer()
		}
		block("\t\t", "oauth "+s.issuer, s.oauth)
	}
	for _, line := range s.mcp {
		fmt.Fprintf(&b, "\t\t%s\n", line)
	}
	b.WriteString("\t}\n")
	if s.proxy != "" {
		block("\t", "reverse_proxy "+s.endpoint()+" "+s.proxy, append([]string{"header_up Host {upstream_hostport}"}, s.proxyWith...))
	}
	b.WriteString("}\n")
	return b.String()
}

func (s site) scheme() string {
	if s.plain {
		return "http"
	}
	return "https"
}

func (s site) endpoint() string {
	if s.path != "" {
		return s.path
	}
	return "/mcp"
}

// quoted writes words so that the Caddyfile reads each as one.
func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = "`" + word + "`"
	}
	return out
}
