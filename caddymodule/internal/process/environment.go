package process

import (
	"fmt"
	"slices"
	"strings"
)

// inherited names what every child gets from the gateway's environment: where
// programs and the home folder are, language and time zone, and how to reach and
// trust the network, without which servers fail behind a corporate proxy. The
// rest, secrets of the gateway among it, stays with the gateway.
var inherited = []string{
	"PATH", "HOME", "LANG", "TZ",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
	"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
}

// environment holds each variable once.
type environment map[string]string

// newEnvironment builds the child's environment, the weakest source first.
func newEnvironment(lookup func(string) (string, bool), pass, set []string) (environment, error) {
	env := make(environment, len(inherited)+len(pass)+len(set))
	for _, name := range inherited {
		if value, ok := lookup(name); ok {
			env[name] = value
		}
	}
	for _, name := range pass {
		if err := checkName(name); err != nil {
			return nil, err
		}
		if value, ok := lookup(name); ok {
			env[name] = value
		}
	}
	for _, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			// The text may be a secret whose name was forgotten.
			return nil, fmt.Errorf("an environment setting is not of the form NAME=value")
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		if strings.IndexByte(value, 0) >= 0 {
			return nil, fmt.Errorf("the value of environment variable %s holds a NUL byte", name)
		}
		env[name] = value
	}
	return env, nil
}

func checkName(name string) error {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("%q cannot be the name of an environment variable", name)
	}
	return nil
}

func (e environment) has(name string) bool {
	_, ok := e[name]
	return ok
}

func (e environment) setDefault(name, value string) {
	if !e.has(name) {
		e[name] = value
	}
}

// list is the environment as the system wants it, in a stable order.
func (e environment) list() []string {
	pairs := make([]string, 0, len(e))
	for name, value := range e {
		pairs = append(pairs, name+"="+value)
	}
	slices.Sort(pairs)
	return pairs
}
