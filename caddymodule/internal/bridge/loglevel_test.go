package bridge

import (
	"net/http"
	"strings"
	"testing"
)

func TestLogsOfALegacyServerAreThoseThatWereAskedFor(t *testing.T) {
	g := open(t, nil, legacyChild)
	line := func(level string) string {
		return `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"` + level + `","data":1}}`
	}
	body, header := modernTool(`1`, "say", saying(line("debug"), line("error"), answered))
	body = strings.Replace(body, `"progressToken":"tok"`, `"io.modelcontextprotocol/logLevel":"warning"`, 1)
	resp := g.post(body, header...)
	resp.says(line("error"))
	if _, data := resp.next(); !strings.Contains(data, `"done":true`) {
		t.Errorf("then %s", data)
	}
	g.modernTool(`2`, "say", saying(line("error"), answered)).holds(http.StatusOK, `"done":true`)
}

func TestALogLevelThatThereIsNotIsRefused(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	for _, level := range []string{`"loud"`, `"Error"`, `3`, `{}`} {
		for _, method := range []string{"tools/call", "server/discover"} {
			body, header := modern(`1`, method, `"name":"echo"`)
			body = strings.Replace(body, `"progressToken":"tok"`, `"io.modelcontextprotocol/logLevel":`+level, 1)
			g.post(body, header...).holds(http.StatusOK, `"code":-32602`)
		}
	}
	if n := g.log.count(`"tools/call"`); n != 0 {
		t.Errorf("the server got %d of the calls", n)
	}
}
