package bridge

import (
	"context"
	"net/http"
	"testing"
)

const (
	oldIssuer = "https://old.example"
	newIssuer = "https://issuer.example" // that of the harness
)

// stranger begins a legacy session of a user whom another issuer has named, or another
// claim of the same.
func (g *gateway) stranger(header ...string) []string {
	g.t.Helper()
	resp := g.post(initializeRequest, header...)
	if body := resp.body(); resp.StatusCode != http.StatusOK {
		g.t.Fatalf("initialize: %d %s", resp.StatusCode, body)
	}
	return append(header, "Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25")
}

// What a stranger has ends at once; who is still recognized notices nothing.
func TestUsersOfAVoucherThatIsGoneHaveNothingLeft(t *testing.T) {
	for name, stranger := range map[string][]string{
		"issuer removed":  {"X-User", "alice", "X-Claim", "sub", "X-Issuer", oldIssuer},
		"subject changed": {"X-User", "alice", "X-Claim", "email"},
	} {
		for _, per := range []Per{PerSession, PerUser, PerShared} {
			t.Run(name, func(t *testing.T) {
				g := sharing(t, per, nil)
				g.bridge.Recognize([]Voucher{{newIssuer, "sub"}, {newIssuer, "email"}, {oldIssuer, "sub"}})
				known := g.stranger("X-User", "alice", "X-Claim", "sub")
				pid := g.pid(known...)
				strange := g.stranger(stranger...)
				stream := g.get(context.Background(), strange...)
				both := g.bridge.Processes()

				undo := g.bridge.Recognize([]Voucher{{newIssuer, "sub"}, {"https://third.example", "sub"}})
				stream.ends()
				g.until("one session is left", func() bool { return g.bridge.Sessions() == 1 })
				g.until("its process is left", func() bool { return g.bridge.Processes() == 1 })
				if per != PerShared && both != 2 {
					t.Errorf("%d processes for two users", both)
				}
				if again := g.pid(known...); again != pid {
					t.Errorf("process %s, was %s", again, pid)
				}

				// The configuration before lets these in still.
				for _, request := range []string{tool(`1`, "echo", ``), initializeRequest} {
					resp := g.post(request, strange...)
					if resp.holds(http.StatusServiceUnavailable, "has just changed"); resp.Header.Get("Retry-After") == "" {
						t.Error("no Retry-After")
					}
				}
				body, header := modernTool(`1`, "pid", ``, stranger...)
				g.post(body, header...).holds(http.StatusServiceUnavailable, "has just changed")
				g.get(context.Background(), strange...).holds(http.StatusServiceUnavailable, "has just changed")
				if n := g.bridge.Sessions(); n != 1 {
					t.Errorf("%d sessions", n)
				}

				undo() // the new configuration was not started after all
				g.post(tool(`1`, "echo", ``), strange...).holds(http.StatusNotFound, `-32001`)
				g.pid(g.stranger(stranger...)...)
			})
		}
	}
}

func TestModernProcessesAndListensEndWithTheirVoucher(t *testing.T) {
	for server, says := range map[string]string{
		discoverVar + "=modern": changed("tools", "$listen"),
		legacyChild:             `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`,
	} {
		for _, per := range []Per{PerUser, PerShared} {
			g := sharing(t, per, nil, server)
			g.bridge.Recognize([]Voucher{{newIssuer, ""}, {oldIssuer, ""}})
			listen := func(header ...string) *reader {
				body, header := modern(`"l"`, "subscriptions/listen", `"notifications":{"toolsListChanged":true}`, header...)
				resp := g.do(t.Context(), http.MethodPost, body, header...)
				resp.next() // acknowledged
				return resp
			}
			strange := listen("X-User", "alice", "X-Issuer", oldIssuer)
			alice := listen("X-User", "alice", "X-Issuer", newIssuer) // the newest is what the server tells
			g.bridge.Recognize([]Voucher{{newIssuer, ""}})
			if _, data := strange.next(); data != `{"jsonrpc":"2.0","id":"l","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}` {
				t.Errorf("the stranger's listen ends with %s", data)
			}
			strange.ends()
			g.until("one process is left", func() bool { return g.bridge.Processes() == 1 })
			g.tells("alice", says)
			alice.says(changed("tools", `"l"`))
		}
	}
}

// What one configuration takes back must not undo what another has said since.
func TestLaterWordOnVouchersStands(t *testing.T) {
	b := New(PerSession)
	defer b.Close(t.Context())
	alice, bob := owner{"https://a.example", "alice", "sub"}, owner{"https://b.example", "bob", "sub"}
	serves := func(want ...bool) {
		t.Helper()
		for i, o := range []owner{alice, bob, {}} {
			if b.barred(o) == want[i] {
				t.Errorf("%v is served: %v", o, !want[i])
			}
		}
	}
	serves(true, true, true)
	undoA := b.Recognize([]Voucher{{"https://a.example", "sub"}})
	serves(true, true, true) // bob's configuration may be about to start
	undoB := b.Recognize([]Voucher{{"https://b.example", "sub"}, {"https://a.example", "email"}})
	serves(false, true, true)
	undoA() // its configuration has been replaced
	serves(false, true, true)
	undoB()
	serves(true, true, true)
	b.Recognize([]Voucher{{"https://b.example", "sub"}})
	b.Recognize(nil)
	serves(false, false, true)
	b.Recognize([]Voucher{{"https://a.example", "sub"}})
	serves(true, false, true)
}

// A call that was let in just before its voucher went must leave nothing behind: whatever
// lasts asks once more where Recognize would not find it any more.
func TestNothingBeginsForAUserServedNoMore(t *testing.T) {
	b := New(PerUser)
	defer b.Close(t.Context())
	alice := owner{oldIssuer, "alice", "sub"}
	b.Recognize([]Voucher{{oldIssuer, "sub"}})
	b.Recognize([]Voucher{{newIssuer, "sub"}})
	settings := Settings{}.Prepared()
	if _, refusal := b.reserve(alice, settings, nil); refusal == nil || refusal.Status != http.StatusServiceUnavailable {
		t.Errorf("a process: %v", refusal)
	}
	s := &session{bridge: b, id: "s", owner: alice}
	if refusal := b.enterShared(s, settings); refusal == nil || refusal.Status != http.StatusServiceUnavailable {
		t.Errorf("a session: %v", refusal)
	}
	if b.Processes() != 0 || b.Sessions() != 0 || b.seats.InUse(alice.key()) != 0 || b.perUser.InUse(alice.key()) != 0 {
		t.Error("something is counted for it")
	}
	if _, refusal := b.reserve(owner{newIssuer, "alice", "sub"}, settings, nil); refusal != nil {
		t.Errorf("a process of one who is served: %v", refusal)
	}
	b.exited(owner{newIssuer, "alice", "sub"})
}
