package answer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestARefusalIsAnErrorInJSON(t *testing.T) {
	r := New(http.StatusTooManyRequests, -32603, "at most %d \"calls\"", 2).RetryAfter(1500 * time.Millisecond)
	r.Data = map[string]any{"supported": []string{"a"}}
	r.Reason = "for the log only"
	w := httptest.NewRecorder()
	r.Write(w, []byte(`"id"`))
	const want = `{"jsonrpc":"2.0","id":"id","error":{"code":-32603,"message":"at most 2 \"calls\"","data":{"supported":["a"]}}}`
	if got := w.Body.String(); got != want || w.Code != http.StatusTooManyRequests {
		t.Errorf("got  %d %s\nwant %s", w.Code, got, want)
	}
	for name, want := range map[string]string{"Retry-After": "2", "Content-Type": "application/json", "Cache-Control": "no-store"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Error() != "for the log only" {
		t.Errorf("the log is told %q", r.Error())
	}
}

func TestTheIDIsNullWhereThereIsNone(t *testing.T) {
	for name, frame := range map[string][]byte{
		"no id": New(400, -32700, "x").Frame(nil), "session": UnknownSession().Frame([]byte(`7`)),
	} {
		var answer struct{ ID *json.RawMessage }
		if err := json.Unmarshal(frame, &answer); err != nil || answer.ID != nil {
			t.Errorf("%s: %s, %v", name, frame, err)
		}
	}
}

func TestAMessageOfAnyBytesIsValidJSON(t *testing.T) {
	if frame := New(400, 1, "%s", "\xff\x00\n\u2028").Frame(nil); !json.Valid(frame) {
		t.Errorf("%q", frame)
	}
}

func TestRetryAfterIsAtLeastASecond(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", 61 * time.Second: "61"} {
		if got := New(503, 1, "").RetryAfter(d).Header.Get("Retry-After"); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
