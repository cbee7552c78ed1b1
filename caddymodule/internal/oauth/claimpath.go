package oauth

// FindClaim finds a claim by its name, or by a path of names through nested claims,
// joined by dots, such as resource_access.my-client.roles. An exact name wins over a
// path, and a longer name over a shorter one, so that names with dots of their own can
// be written: those of URLs (OpenID Connect Core section 5.1.2) have some.
func FindClaim(claims map[string]any, path string) (any, bool) {
	if value, ok := claims[path]; ok {
		return value, true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		nested, ok := claims[path[:i]].(map[string]any)
		if !ok {
			continue
		}
		if value, ok := FindClaim(nested, path[i+1:]); ok {
			return value, true
		}
	}
	return nil, false
}
