package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write what is adapted into the golden files")

const separator = "----------\n"

// adapt turns a Caddyfile into indented JSON.
func adapt(t testing.TB, text string) (string, error) {
	t.Helper()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		return "", err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("warning: %s", w.String())
		}
	}
	var out bytes.Buffer
	if err := json.Indent(&out, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.String(), nil
}

// TestAdapt holds what each Caddyfile in testdata/adapt becomes. The -update flag writes
// it anew.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddytest"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(raw), separator)
			got, err := adapt(t, input)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapted:\n%s\nwant:\n%s", got, want)
			}
			config := &caddy.Config{}
			if err := json.Unmarshal([]byte(got), config); err != nil {
				t.Fatal(err)
			}
			config.Admin = &caddy.AdminConfig{Disabled: true}
			if err := caddy.Validate(config); err != nil {
				t.Errorf("validate: %v", err)
			}
		})
	}
}

// TestCaddyfileRefuses holds that what is wrong is said, with what would be right.
func TestCaddyfileRefuses(t *testing.T) {
	site := func(block string) string {
		return "mcp.example.com {\n\tmcp /mcp {\n" + block + "\n\t}\n}\n"
	}
	proxied := func(block string) string {
		return "mcp.example.com {\n\tmcp_oauth /mcp {\n" + block + "\n\t}\n\treverse_proxy /mcp 127.0.0.1:3000\n}\n"
	}
	const stdio, oauth = "stdio snapshotd\n", "oauth https://auth.example.com\n"
	for name, tc := range map[string]struct{ input, want string }{
		"an origin with a path":                       {site(stdio + oauth + "origins https://app.example/page"), "scheme, host and port only, such as https://app.example.com, at Caddyfile:5"},
		"an origin beside one of the environment":     {site(stdio + "anonymous\norigins {env.APP} https://app.example/page"), "scheme, host and port only, such as https://app.example.com, at Caddyfile:5"},
		"unknown subdirective names those there are":  {site(stdio + oauth + "oath x"), "there are: anonymous, audit, handle, identity, limits, oauth, origins, scopes, stdio"},
		"unknown in stdio":                            {site("stdio x {\n\tlimit files 3\n}\n" + oauth), "there are: call_timeout, dir, env, idle_timeout, max_processes, pass_env, per, prewarm, queue_timeout, start_timeout, stop_timeout"},
		"unknown in oauth":                            {site(stdio + "oauth https://a.example {\n\tbond dpop\n}"), "there are: algorithms, audience, bound, cache, clock_skew, dpop, introspect, issuer_metadata, jwks, require, resource, resource_documentation, resource_name, scope_claims, subject, token_header"},
		"unknown in scopes":                           {site(stdio + oauth + "scopes {\n\troot x y\n}"), "there are: advertise_prefix, ask, base, deny, filter, imply, method, prompt, resource, tool"},
		"unknown in limits":                           {site(stdio + oauth + "limits {\n\trequests 10/1m\n}"), "there are: body, concurrent, sessions"},
		"unknown in audit":                            {site(stdio + oauth + "audit {\n\tfile x\n}"), "audit: unexpected \"file\": audit takes no block"},
		"a block where none is":                       {site(stdio + "oauth https://a.example {\n\tsubject email {\n\tbound dpop\n}\n}"), "subject takes no block"},
		"a block behind a word alone":                 {site(stdio + "anonymous {\n\taudit\n}"), "anonymous takes no block"},
		"not yet built: cache":                        {site(stdio + oauth + "cache public"), "unknown subdirective \"cache\""},
		"who shares a process":                        {site("stdio x {\n\tper process\n}\n" + oauth), "use one of session, user, shared"},
		"no server":                                   {site(oauth), "write \"stdio <command>\""},
		"nobody let in":                               {site(stdio), "\"anonymous\" to serve without login"},
		"oauth and anonymous":                         {site(stdio + oauth + "anonymous"), "exclude one another"},
		"handle without oauth":                        {site(stdio + "anonymous\nhandle {\n\trespond 403\n}"), "it needs oauth"},
		"handle with a word":                          {site(stdio + oauth + "handle /x {\n\trespond 403\n}"), "rong argument count"},
		"an unknown directive in handle":              {site(stdio + oauth + "handle {\n\tnonsense\n}"), "unrecognized directive: nonsense"},
		"scopes without oauth":                        {site(stdio + "anonymous\nscopes {\n\tbase x\n}"), "they need oauth"},
		"written twice":                               {site(stdio + stdio + oauth), "written twice"},
		"env twice":                                   {site("stdio x {\n\tenv A 1\n\tenv A 2\n}\n" + oauth), "A is written twice"},
		"a glob path":                                 {strings.Replace(site(stdio+oauth), "/mcp {", "/mcp* {", 1), "not one exact path"},
		"a pattern as path":                           {strings.Replace(site(stdio+oauth), "/mcp {", "/mcp[1] {", 1), "not one exact path"},
		"an escape as path":                           {strings.Replace(site(stdio+oauth), "/mcp {", "/mcp\\x {", 1), "not one exact path"},
		"a path with dots":                            {strings.Replace(site(stdio+oauth), "/mcp {", "/a/../mcp {", 1), "not one exact path"},
		"a path that is no part of a URL":             {strings.Replace(site(stdio+oauth), "/mcp {", "/mcp/ä {", 1), `the path "/mcp/ä" is not as it stands in an address: write the public address, such as "resource https://`},
		"a path with an escape":                       {strings.Replace(site(stdio+oauth), "/mcp {", "/my%20mcp {", 1), "write the public address"},
		"a path with a placeholder":                   {strings.Replace(proxied(oauth), "/mcp {", "/{env.HOME} {", 1), "write the public address"},
		"a named matcher":                             {"mcp.example.com {\n\t@m path /x\n\tmcp @m {\n" + stdio + oauth + "\n}\n}", `mcp takes no matcher: put it into "handle @m"`},
		"two paths":                                   {strings.Replace(site(stdio+oauth), "/mcp {", "/mcp /other {", 1), "takes one path"},
		"a count of zero":                             {site("stdio x {\n\tmax_processes 0\n}\n" + oauth), "whole number from 1"},
		"a duration without unit":                     {site("stdio x {\n\tidle_timeout 10\n}\n" + oauth), "such as 30s"},
		"too large a body":                            {site(stdio + oauth + "limits {\n\tbody 2GiB\n}"), "1 GiB"},
		"too large a skew":                            {site(stdio + "oauth https://a.example {\n\tclock_skew 10m\n}"), "from 0s to 5m"},
		"a binding":                                   {site(stdio + "oauth https://a.example {\n\tbound tls\n}"), "use one of dpop, mtls, any"},
		"dpop with a word":                            {site(stdio + "oauth https://a.example {\n\tdpop on\n}"), "dpop takes a block"},
		"unknown in dpop":                             {site(stdio + "oauth https://a.example {\n\tdpop {\n\t\tx\n\t}\n}"), "there are: algorithms, nonce"},
		"a nonce of one's own":                        {site(stdio + "oauth https://a.example {\n\tdpop {\n\t\tnonce x\n\t}\n}"), "stands alone"},
		"two token headers":                           {site(stdio + "oauth https://a.example {\n\ttoken_header A B\n}"), "token_header takes one value"},
		"an identity mode":                            {site(stdio + oauth + "identity header"), "meta, env, both, off"},
		"anonymous with a word":                       {site(stdio + "anonymous private"), "stands alone, or with public"},
		"a rule without scope":                        {site(stdio + oauth + "scopes {\n\ttool x\n}"), `the scopes it needs, such as "tool delete_* files:delete"`},
		"a rule on a resource without scope":          {site(stdio + oauth + "scopes {\n\tresource x\n}"), `such as "resource file:///`},
		"a required claim without value":              {site(stdio + "oauth https://a.example {\n\trequire groups\n}"), "require takes a claim and the values"},
		"unknown in the cache of tokens":              {site(stdio + "oauth https://a.example {\n\tcache {\n\tentries 3\n}\n}"), "cache: unknown subdirective \"entries\"; there are: size, ttl"},
		"a cache without block":                       {site(stdio + "oauth https://a.example {\n\tcache 100\n}"), "cache takes a block with size or ttl"},
		"a cache of a negative size":                  {site(stdio + "oauth https://a.example {\n\tcache {\n\tsize -1\n}\n}"), "from 0, for no cache, to 10000000"},
		"a cache for no time":                         {site(stdio + "oauth https://a.example {\n\tcache {\n\tttl 0s\n}\n}"), "cache ttl: \"0s\" is not a duration above zero"},
		"unknown in introspect":                       {site(stdio + "oauth https://a.example {\n\tintrospect https://a.example/i {\n\tpassword x\n}\n}"), "there are: auth, client_id, client_secret, issuer, key, tokens"},
		"introspect without endpoint":                 {site(stdio + "oauth https://a.example {\n\tintrospect\n}"), "such as \"introspect https://auth.example.com/introspect\""},
		"a key without file":                          {site(stdio + "oauth https://a.example {\n\tintrospect https://a.example/i {\n\tkey\n}\n}"), "introspect key takes a PEM file"},
		"deny without kind":                           {site(stdio + oauth + "scopes {\n\tdeny x\n}"), "deny takes one of tool, prompt, resource, method"},
		"what to ask for":                             {site(stdio + oauth + "scopes {\n\task some\n}"), "ask takes one of: base, all"},
		"how to filter":                               {site(stdio + oauth + "scopes {\n\tfilter\n}"), "filter takes one of: on, off"},
		"a scope that implies none":                   {site(stdio + oauth + "scopes {\n\timply x\n}"), "those that it implies"},
		"the issuer's metadata with a word":           {site(stdio + "oauth https://a.example {\n\tissuer_metadata on\n}"), "it stands alone"},
		"oauth without issuer":                        {site(stdio + "oauth"), "the issuer of the tokens"},
		"stdio without command":                       {site("stdio\n" + oauth), "stdio takes the command"},
		"the command from a claim":                    {site("stdio {mcp.claims.cmd}\noauth https://a.example"), "nothing of a user may choose the command, at Caddyfile:3"},
		"a request placeholder in env":                {site("stdio x {\n\tenv A {http.request.header.X}\n}\noauth https://a.example"), "{http.request.header.X} is not known when a process starts: "},
		"the session in an argument":                  {site("stdio x {mcp.session}\noauth https://a.example"), "{mcp.claims.*}, at Caddyfile:3"},
		"a user where nobody is asked":                {site("stdio x {\n\tenv A {mcp.user}\n}\nanonymous"), "needs a verified user, and anonymous asks for none, at Caddyfile:3"},
		"a user where all share":                      {site("stdio x {mcp.user} {\n\tper shared\n}\noauth https://a.example"), "per user\" or leave the placeholder out, at Caddyfile:3"},
		"a user of a process to come":                 {site("stdio x {mcp.user} {\n\tprewarm 1\n}\noauth https://a.example\nidentity meta"), "no placeholder such as {mcp.user}"},
		"env of a process to come":                    {site("stdio x {\n\tprewarm 1\n}\noauth https://a.example"), "so that the user stands in each message only, at Caddyfile:3"},
		"more ready than may run":                     {site("stdio x {\n\tprewarm 7\n\tmax_processes 8\n}\noauth https://a.example\nidentity meta"), "three quarters of max_processes, which is 8, at Caddyfile:3"},
		"env where all share":                         {site("stdio x {\n\tper shared\n}\noauth https://a.example\nidentity env"), "write \"identity meta\" or leave it out, at Caddyfile:3"},
		"a variable of the gateway":                   {site("stdio x {\n\tenv SNAPGATE_USER root\n}\noauth https://a.example"), "SNAPGATE_USER is set by the gateway itself, at Caddyfile:3"},
		"no name of a variable":                       {site("stdio x {\n\tpass_env A=B\n}\n" + oauth), "\"A=B\" is not the name of a variable; write the name alone, and several with spaces between, at Caddyfile:3"},
		"a variable as a shell has it":                {site("stdio x {\n\tpass_env $A\n}\n" + oauth), "\"$A\" is not the name of a variable"},
		"variables with commas":                       {site("stdio x {\n\tpass_env A, B\n}\n" + oauth), "\"A,\" is not the name of a variable"},
		"a placeholder that is not closed":            {site("stdio x {\n\tenv A /data/{mcp.user.db\n}\n" + oauth), "env A: \"{mcp.user.db\" is no placeholder: it needs a closing brace, and no spaces within, at Caddyfile:3"},
		"a placeholder with spaces":                   {site("stdio x {\n\tdir \"/data/{mcp.user}/{ mcp.client_id }\"\n}\n" + oauth), "dir: \"{ mcp.client_id }\" is no placeholder"},
		"claims that nothing tells":                   {site(stdio + oauth + "identity env {\n\tclaims email\n}"), "identity env: claims stand in _meta only; write \"identity meta\" or \"identity both\", or leave claims out, at Caddyfile:3"},
		"the secret of an introspection in the clear": {site(introspect("http://a.example/i", "client_id c\nclient_secret {env.SECRET}")), "must be https; http is for loopback hosts only, at Caddyfile:4"},
		"an introspection without a secret":           {site(introspect("https://a.example/i", "client_id c")), "client_secret: is missing, and auth basic needs it, at Caddyfile:4"},
		"tokens that none are":                        {site(introspect("https://a.example/i", "client_id c\nkey key.pem\ntokens jwt")), "introspect: tokens \"jwt\": use opaque or all, at Caddyfile:4"},
		"an empty command":                            {site("stdio \"\"\n" + oauth), "such as \"stdio snapshotd\", at Caddyfile:3"},
		"a command before a proxy":                    {proxied(stdio + oauth), "mcp_oauth: unknown subdirective \"stdio\"; there are: audit, bind_sessions, limits, oauth, origins, scopes"},
		"a proxy for nobody":                          {proxied("audit"), "mcp_oauth: nobody is let in"},
		"no login before a proxy":                     {proxied(oauth + "anonymous"), "unknown subdirective \"anonymous\""},
		"limits of sessions that a proxy has":         {proxied(oauth + "limits {\n\tsessions 3\n}"), "limits: unknown subdirective \"sessions\"; there are: body"},
		"limits without a block before a proxy":       {proxied(oauth + "limits 3"), "limits takes a block"},
		"a glob path before a proxy":                  {strings.Replace(proxied(oauth), "/mcp {", "/mcp/* {", 1), "mcp_oauth: \"/mcp/*\" is not one exact path"},
		"two paths before a proxy":                    {strings.Replace(proxied(oauth), "/mcp {", "/mcp /other {", 1), "mcp_oauth: unexpected \"/other\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := adapt(t, tc.input)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v\nwant it to say %s", err, tc.want)
			}
		})
	}
}

// introspect is a server whose issuer is asked about tokens.
func introspect(endpoint, block string) string {
	return "stdio x\noauth https://a.example {\n\tintrospect " + endpoint + " {\n" + block + "\n}\n}"
}

// TestProvisionRefuses holds what only the values themselves can tell.
func TestProvisionRefuses(t *testing.T) {
	site := func(block string) string {
		return "mcp.example.com {\n\tmcp /mcp {\n" + block + "\n\t}\n}\n"
	}
	for name, tc := range map[string]struct{ input, want string }{
		"plain http issuer":            {site("stdio x\noauth http://auth.example.com"), "https"},
		"metadata for an issuer":       {site("stdio x\noauth https://a.example/x/.well-known/openid-configuration"), "such as https://a.example/x"},
		"issuers with a comma":         {site("stdio x\noauth https://a.example, https://b.example"), "has a comma in its host; separate several values by spaces"},
		"symmetric algorithm":          {site("stdio x\noauth https://a.example {\n\talgorithms HS256\n}"), "HS256"},
		"jwks for two issuers":         {site("stdio x\noauth https://a.example https://b.example {\n\tjwks https://a.example/keys\n}"), "jwks"},
		"a resource with a fragment":   {site("stdio x\noauth https://a.example {\n\tresource https://m.example/mcp#x\n}"), "fragment"},
		"introspection in the clear":   {site(introspect("http://a.example/i", "client_id c\nclient_secret s")), "https"},
		"introspection by nobody":      {site(introspect("https://a.example/i", "client_secret s")), "client_id: is missing"},
		"a secret that is not set":     {site(introspect("https://a.example/i", "client_id c\nclient_secret {env.SNAPGATE_TEST_NOT_SET}")), "SNAPGATE_TEST_NOT_SET"},
		"an unknown auth":              {site(introspect("https://a.example/i", "client_id c\nclient_secret s\nauth digest")), "use one of basic, post, private_key_jwt"},
		"unknown tokens":               {site(introspect("https://a.example/i", "client_id c\nclient_secret s\ntokens jwt")), "use opaque or all"},
		"a key that is not there":      {site(introspect("https://a.example/i", "client_id c\nkey /no/such/key.pem")), "/no/such/key.pem"},
		"a key that is none":           {site(introspect("https://a.example/i", "client_id c\nkey caddyfile_test.go")), "no private key in PEM form"},
		"an endpoint of two issuers":   {site(strings.Replace(introspect("https://a.example/i", "client_id c\nclient_secret s"), "oauth", "oauth https://b.example", 1)), "whose endpoint it is"},
		"a symmetric proof":            {site("stdio x\noauth https://a.example {\n\tdpop {\n\t\talgorithms HS256\n\t}\n}"), "dpop algorithms"},
		"the token in a cookie":        {site("stdio x\noauth https://a.example {\n\ttoken_header cookie\n}"), "Cookie: this header means something else"},
		"the token in a header of MCP": {site("stdio x\noauth https://a.example {\n\ttoken_header mcp-session-id\n}"), "means something else"},
		"an assertion that is bound":   {site("stdio x\noauth https://a.example {\n\ttoken_header X-Assertion\n\tbound dpop\n}"), "not bound to a key"},
		"a scope that implies itself":  {site("stdio x\noauth https://a.example\nscopes {\n\timply a a\n}"), "need not imply itself"},
		"metadata beside a platform":   {site("stdio x\noauth https://a.example {\n\tissuer_metadata\n\ttoken_header X-Assertion\n}"), "leave one of the two out"},
		"the metadata of two issuers":  {site("stdio x\noauth https://a.example https://b.example {\n\tissuer_metadata\n}"), "issuer_metadata: there are 2 issuers"},
		"documentation that is no URL": {site("stdio x\noauth https://a.example {\n\tresource_documentation docs/mcp\n}"), "the address of a page"},
		"a resource with dots":         {site("stdio x\noauth https://a.example\nscopes {\n\tdeny resource file:///a/../b\n}"), "write file:///b"},
		"an unknown variable":          {site("stdio x {\n\tenv A {env.SNAPGATE_TEST_NOT_SET}\n}\noauth https://a.example"), "unknown or empty"},
		"a prefix with a space":        {site("stdio x\noauth https://a.example\nscopes {\n\tbase a\n\tadvertise_prefix `api://a b/`\n}"), "advertise_prefix: scope"},
		"a scope with a quote":         {site("stdio x\noauth https://a.example\nscopes {\n\tbase `a\"b`\n}"), "scope"},
	} {
		t.Run(name, func(t *testing.T) {
			adapted, err := adapt(t, tc.input)
			if err != nil {
				// Where no placeholder is in the way, the place is told.
				if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), " at Caddyfile:4") {
					t.Errorf("error = %v\nwant it to say %s, and where", err, tc.want)
				}
				_, rest, _ := strings.Cut(tc.input, "oauth http")
				issuer, _, _ := strings.Cut("http"+strings.ReplaceAll(rest, "\n", " "), " ")
				t.Setenv("SNAPGATE_TEST_ISSUER", issuer)
				adapted, err = adapt(t, strings.Replace(tc.input, issuer, "{env.SNAPGATE_TEST_ISSUER}", 1))
			}
			if err != nil {
				t.Fatal(err)
			}
			config := &caddy.Config{}
			if err := json.Unmarshal([]byte(adapted), config); err != nil {
				t.Fatal(err)
			}
			config.Admin = &caddy.AdminConfig{Disabled: true}
			err = caddy.Validate(config)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v\nwant it to say %s", err, tc.want)
			}
		})
	}
}
