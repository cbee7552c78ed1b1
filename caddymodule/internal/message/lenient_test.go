package message

import (
	"strings"
	"testing"
)

func TestLooseIDFindsTheCallThatABadAnswerWasFor(t *testing.T) {
	for line, want := range map[string]string{
		`{"jsonrpc":"2.0","id":7,"id":8,"result":{}}`:                                         "7",
		`{"jsonrpc":"2.0","result":{"id":1,"a":[{"id":2}]}, "id" : 12 }`:                      "12",
		`{"ID":1,"id":2,"result":{}}`:                                                         "2",
		`{"result":{"a":"\"id\":9"},"id":3}`:                                                  "3",
		`{"id":"a\"b","result":1}`:                                                            `"a\"b"`,
		`{"id":4,"result":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`: "4",
		`{"x":"id","id":5,"result":"\ud800"}`:                                                 "5",
		`{"id":6,"method":"ping"}`:                                                            "",
		`{"result":{}}`:                                                                       "",
		`{"id":`:                                                                              "",
		`{"id`:                                                                                "",
		`[{"id":1,"result":{}}]`:                                                              "",
		``:                                                                                    "",
	} {
		if got := string(LooseID([]byte(line))); got != want {
			t.Errorf("%.60s: id = %q, want %q", line, got, want)
		}
	}
}

func TestLooseRequestIDFindsWhatWaitsForAnAnswer(t *testing.T) {
	for line, want := range map[string]string{
		`{"method":"x","params":{"id":1,"a":{},"a":{}},"id" : "q" }`: `"q"`,
		`{"id":7,"id":8,"method":"x"}`:                               "7",
		`{"id":7,"params":{"method":"x"}}`:                           "",
		`{"id":{},"method":"x"}`:                                     "",
		`{"method":"x"}`:                                             "",
	} {
		if got := string(LooseRequestID([]byte(line))); got != want {
			t.Errorf("%s: id = %q, want %q", line, got, want)
		}
	}
}

func FuzzLooseID(f *testing.F) {
	f.Add([]byte(`{"id":"\`))
	f.Add([]byte(`{"id" : -1e5,"result":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := Parse(line, 0)
		if err != nil || m.Kind != Response {
			LooseID(line) // must not panic
			return
		}
		if got := string(LooseID(m.Raw)); got != string(m.ID) && string(m.top.Get("id")) != "null" {
			t.Errorf("id = %q, want %q", got, m.ID)
		}
	})
}
