package identitytest

import (
	"fmt"
	"os"
	"strings"
)

// inherited names what a server gets from the gateway's own environment.
var inherited = []string{
	"PATH", "HOME", "LANG", "TZ",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
	"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
}

// environment is that of a server whose temporary folder is temp. Of equal names the
// last one counts, as os/exec has it.
func environment(temp string, sets ...[]string) ([]string, error) {
	env := []string{"TMPDIR=" + temp}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, set := range sets {
		for _, pair := range set {
			if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
				// The text may be a secret whose name was forgotten.
				return nil, fmt.Errorf("an environment setting is not of the form NAME=value")
			}
			env = append(env, pair)
		}
	}
	return env, nil
}
