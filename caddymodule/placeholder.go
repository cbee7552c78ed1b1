package caddymodule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// setPlaceholders makes the verified user and the call known to the rest of the route,
// such as Caddy's expression matcher, and the user to the access log.
func setPlaceholders(repl *caddy.Replacer, call *admission.Call) {
	repl.Map(func(key string) (any, bool) {
		value, err := callValue(call, key)
		if err == nil {
			return value, true
		}
		// Caddy leaves a placeholder that nobody knows as it is written: so it would come to a
		// server in place of a claim that the token lacks. It is null, which is empty in a header,
		// and is no text that an expression could take for one.
		return nil, call.Principal != nil && strings.HasPrefix(key, claimsPrefix)
	})
}

// claimsPrefix begins the placeholders of claims.
const claimsPrefix = "mcp.claims."

// callValue is the value of a placeholder that speaks of a call or of its user. Most
// requests ask for none of them.
func callValue(call *admission.Call, key string) (string, error) {
	switch key {
	case "mcp.method":
		return audit.Clip(call.Method()), nil
	case "mcp.tool":
		return audit.Clip(call.Tool()), nil
	case "mcp.session":
		return call.SessionID, nil
	}
	switch p := call.Principal; {
	case p == nil:
		return "", errors.New("nobody is verified")
	case key == "http.auth.user.id":
		return p.User, nil
	default:
		return principalValue(p, key)
	}
}

// principalValue is the value of a placeholder that speaks of the user.
func principalValue(p *oauth.Principal, key string) (string, error) {
	switch key {
	case "mcp.user":
		return p.User, nil
	case "mcp.subject":
		return p.Subject, nil
	case "mcp.issuer":
		return p.Issuer, nil
	case "mcp.client_id":
		return p.ClientID, nil
	}
	path, ok := strings.CutPrefix(key, claimsPrefix)
	if !ok {
		return "", fmt.Errorf("there is no placeholder {%s}", key)
	}
	value, ok := oauth.FindClaim(p.Claims, path)
	if !ok {
		return "", fmt.Errorf("the token has no claim %q", path)
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case bool, float64, int64, fmt.Stringer:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("the claim %q is not a string, a number or a boolean", path)
}

// placeholderPattern is what is taken for a placeholder. Other braces, as in a JSON
// argument, stand for themselves.
var placeholderPattern = regexp.MustCompile(`\{([A-Za-z_$][\w$]*(?:[.:][\w.$:/-]*)?)\}`)

// template is a value of the stdio block in which placeholders of the user are filled
// in when a process starts, once: what is filled in is not looked at again.
type template struct {
	literals []string // one more than keys
	keys     []string
}

// parseTemplate expands what can be known now, such as {env.HOME}, and refuses what
// never will be when a process starts.
func parseTemplate(repl *caddy.Replacer, s string) (template, error) {
	var t template
	var literal strings.Builder
	at := 0
	if broken := brokenPlaceholder.FindString(placeholderPattern.ReplaceAllString(s, "")); broken != "" {
		return t, fmt.Errorf("%q is no placeholder: it needs a closing brace, and no spaces within", broken)
	}
	for _, m := range placeholderPattern.FindAllStringSubmatchIndex(s, -1) {
		key := s[m[2]:m[3]]
		literal.WriteString(s[at:m[0]])
		at = m[1]
		if isUserKey(key) {
			t.literals = append(t.literals, literal.String())
			t.keys = append(t.keys, key)
			literal.Reset()
			continue
		}
		if strings.HasPrefix(key, "mcp.") || strings.HasPrefix(key, "http.") {
			return t, fmt.Errorf("{%s} is not known when a process starts: use {mcp.user}, {mcp.subject}, {mcp.issuer}, {mcp.client_id} or {mcp.claims.*}", key)
		}
		value, ok := repl.GetString(key)
		if !ok || value == "" {
			return t, fmt.Errorf("{%s} is unknown or empty", key)
		}
		literal.WriteString(value)
	}
	literal.WriteString(s[at:])
	t.literals = append(t.literals, literal.String())
	return t, nil
}

// brokenPlaceholder is what was meant to be one of a user, and would be the same for all of them.
var brokenPlaceholder = regexp.MustCompile(`\{\s*mcp\.[^}]*\}?`)

func isUserKey(key string) bool {
	switch key {
	case "mcp.user", "mcp.subject", "mcp.issuer", "mcp.client_id":
		return true
	}
	return strings.HasPrefix(key, claimsPrefix) && len(key) > len(claimsPrefix)
}

// static says whether the value is the same for every user.
func (t template) static() bool { return len(t.keys) == 0 }

// expand fills in the values of a user, who is nil if nobody is verified.
func (t template) expand(p *oauth.Principal) (string, error) {
	if t.static() {
		return t.literals[0], nil
	}
	if p == nil {
		return "", fmt.Errorf("{%s} needs a verified user", t.keys[0])
	}
	var b strings.Builder
	for i, key := range t.keys {
		value, err := principalValue(p, key)
		if err == nil {
			err = checkUserValue(key, value)
		}
		if err != nil {
			return "", fmt.Errorf("{%s}: %w", key, err)
		}
		b.WriteString(t.literals[i])
		b.WriteString(value)
	}
	b.WriteString(t.literals[len(t.keys)])
	return b.String(), nil
}

// checkUserValue refuses what could become more than one part of a path, an option or a
// second line. The issuer is the operator's own value, and is a URL.
func checkUserValue(key, value string) error {
	if value == "" {
		return errors.New("the value is empty")
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("the value holds a control character")
	}
	if key == "mcp.issuer" {
		return nil
	}
	if strings.ContainsAny(value, `/\`) {
		return errors.New("the value holds a path separator")
	}
	if value[0] == '-' || value[0] == '.' {
		return fmt.Errorf("the value begins with %q", value[:1])
	}
	return nil
}
