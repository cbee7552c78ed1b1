package bridge

import (
	"net/http"
	"testing"
)

// A process that has refused initialize counts until it is gone. It may be the only one that
// there may be, and does not keep another from taking its place.
func TestAModernServerIsFoundWhereThereIsRoomForOneProcess(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser, PerShared} {
		for name, one := range map[string]func(*Settings){
			"of the user": func(s *Settings) { s.MaxSessions = 1 },
			"of all":      func(s *Settings) { s.MaxProcesses = 1 },
		} {
			g := openPer(t, per, one, modernOnly...)
			resp := g.post(initializeRequest)
			if body := resp.body(); resp.StatusCode != http.StatusOK || resp.Header.Get("Mcp-Session-Id") == "" {
				t.Errorf("per %d, one process %s: %d %s", per, name, resp.StatusCode, body)
			}
		}
	}
}
