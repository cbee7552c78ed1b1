package bridge

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// urlError is a legacy server's error that asks for two URLs.
const urlError = `{"jsonrpc":"2.0","id":$id,"error":{"code":-32042,"message":"Authorize first","data":{"elicitations":[` +
	`{"mode":"url","url":"https://a.example/?x=1&y","message":"A","elicitationId":"1","_meta":{"io.github.snapgate/user":1}},` +
	`{"mode":"url","url":"https://b.example/","message":"B","elicitationId":"2"}]}}}`

// opens is a tools/call of a client that opens URLs.
func opens(id, args, more string) (string, []string) {
	body, header := capable(id, "say", args, more)
	return strings.Replace(body, `"elicitation":{}`, `"elicitation":{"url":{}}`, 1), header
}

func TestURLsThatALegacyServerNeedsAreAskedFor(t *testing.T) {
	for name, per := range map[string]Per{"a process that is had alone": PerSession, "one that all share": PerShared} {
		t.Run(name, func(t *testing.T) {
			g := openPer(t, per, nil, legacyChild, trace)
			args := saying(urlError)
			body, header := opens(`1`, args, "")
			text := g.post(body, header...).body()
			var got inputRequired
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			const first = `{"mode":"url","url":"https://a.example/?x=1&y","message":"A","elicitationId":"1","_meta":{}}`
			asked := got.Result.InputRequests
			if string(got.ID) != "1" || got.Result.ResultType != "input_required" || len(asked) != 2 ||
				asked["input1"].Method != "elicitation/create" || string(asked["input1"].Params) != first || !strings.Contains(string(asked["input2"].Params), "b.example") {
				t.Errorf("answered %s", text)
			}
			if record := g.log.outcome(t, "say"); record["outcome"] != "ok" {
				t.Errorf("recorded as %v", record)
			}

			again := func(responses string) (string, []string) {
				return opens(`2`, args, `"inputResponses":`+responses+`,"requestState":"`+got.Result.RequestState+`"`)
			}
			body, header = again(`{"input1":{"action":"accept"}}`)
			other := strings.Replace(body, "Authorize", "Pay", 1)
			g.post(other, header...).holds(http.StatusOK, `"code":-32602`)
			g.post(body, header...).holds(http.StatusOK, `"resultType":"input_required"`)
			g.until("the server was called twice", func() bool { return g.log.count(`"tools/call"`) == 2 })
			if g.log.count("inputResponses") != 0 || g.log.count("requestState") != 0 {
				t.Error("the server got what was for the gateway")
			}
			g.post(body, header...).holds(http.StatusOK, `"code":-32602`)
		})
	}
}

func TestAUserWhoDeclinesAURLIsNotAskedAgain(t *testing.T) {
	for _, action := range []string{"decline", "cancel"} {
		g := open(t, nil, legacyChild, trace)
		args := saying(urlError)
		body, header := opens(`1`, args, "")
		answer := g.post(body, header...).answer()
		body, header = opens(`2`, args, `"inputResponses":{"input1":{"action":"accept"},"input2":{"action":"`+action+`"}},"requestState":`+string(answer["requestState"]))
		g.post(body, header...).holds(http.StatusOK, `"code":-32603`)
		g.until("the server was called once, with "+action, func() bool { return g.log.count(`"tools/call"`) == 1 })
	}
}

func TestAClientThatOpensNoURLsIsToldWhatItLacks(t *testing.T) {
	g := open(t, nil, legacyChild)
	const lacks = `"code":-32021,"message":"The server needs the user to open a URL first","data":{"requiredCapabilities":{"elicitation":{"url":{}}}}`
	g.modernTool(`1`, "say", saying(urlError)).holds(http.StatusBadRequest, lacks)
	body, header := capable(`1`, "say", saying(urlError), "")
	g.post(body, header...).holds(http.StatusBadRequest, lacks)
	if record := g.log.outcome(t, "say"); record["code"] != "-32021" {
		t.Errorf("recorded as %v", record)
	}
}

// A call can end with this error while it is parked.
func TestURLsAreAskedForAfterOtherInput(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine, urlError)
	body, header := opens(`1`, args, "")
	body = strings.Replace(body, `{"url":{}}`, `{"url":{},"form":{}}`, 1)
	state := g.asks("elicitation/create", body, header...)
	body, header = opens(`2`, args, retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"id":2,"jsonrpc":"2.0","result":{"inputRequests":{"input1":`)
}

func TestCodesThatModernServersDoNotSendAreNotPassedOn(t *testing.T) {
	g := open(t, nil, legacyChild)
	for _, data := range []string{`null`, `{"elicitations":[]}`, `{"elicitations":[{"mode":"form","url":"https://a.example/"}]}`, `{"elicitations":[{"mode":"url"}]}`} {
		g.modernTool(`1`, "say", saying(`{"jsonrpc":"2.0","id":$id,"error":{"code":-32042,"message":"m","data":`+data+`}}`)).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m","data":`+data+`}}`)
	}
}
