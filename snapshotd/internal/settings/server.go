package settings

import "strings"

// serverSchemes begin the address of a server that speaks PostgreSQL's protocol.
var serverSchemes = []string{"postgres://", "postgresql://"}

// serverAddress returns a value of --db with its scheme in lower case if it is the
// address of a server, and "" if it is a file. The address may hold a password: it
// belongs into no message.
func serverAddress(text string) string {
	for _, scheme := range serverSchemes {
		if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			return scheme + text[len(scheme):]
		}
	}
	return ""
}

// IsServer says whether a value of --db is the address of a server.
func IsServer(text string) bool { return serverAddress(text) != "" }
