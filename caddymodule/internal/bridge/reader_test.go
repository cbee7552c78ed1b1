package bridge

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// reader reads the answer to a request.
type reader struct {
	*http.Response
	t     testing.TB
	lines *bufio.Reader

	resumed bool // events without data are passed over
	last    string
	retries int // how often it was told when to come back
}

func (r *reader) body() string {
	r.t.Helper()
	bound := time.AfterFunc(patience, func() { r.Body.Close() })
	defer bound.Stop()
	defer r.Body.Close()
	b, err := io.ReadAll(r.lines)
	if err != nil {
		r.t.Error(err)
	}
	return string(b)
}

// is checks an answer in JSON.
func (r *reader) is(status int, body string) {
	r.t.Helper()
	if got := r.body(); r.StatusCode != status || got != body || r.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("got  %d %s %s\nwant %d %s", r.StatusCode, r.Header.Get("Content-Type"), got, status, body)
	}
}

// holds checks the status of an answer and what stands in it.
func (r *reader) holds(status int, part string) {
	r.t.Helper()
	if got := r.body(); r.StatusCode != status || !strings.Contains(got, part) {
		r.t.Errorf("got  %d %s\nwant %d with %s", r.StatusCode, got, status, part)
	}
}

// next returns the next event's id and data; both are "" at the end. Comments are
// passed over. The id of the last event stays in r.last.
func (r *reader) next() (id, data string) {
	r.t.Helper()
	if ct := r.Header.Get("Content-Type"); ct != "text/event-stream" {
		r.t.Fatalf("%d %s instead of an event stream: %s", r.StatusCode, ct, r.body())
	}
	bound := time.AfterFunc(patience, func() { r.Body.Close() })
	defer bound.Stop()
	some := false
	for {
		line, err := r.lines.ReadString('\n')
		line = strings.TrimSuffix(line, "\n")
		switch field, value, _ := strings.Cut(line, ": "); {
		case err != nil:
			if !bound.Stop() {
				r.t.Error("neither an event nor the end of the stream came")
			}
			return "", ""
		case line == "" && some && r.resumed && data == "":
			some = false
		case line == "" && some:
			return id, data
		case field == "retry":
			r.retries++
		case field == "id":
			id, r.last = value, value
		case field == "data":
			data, some = value, true
		}
	}
}

// says checks the data of the next event and returns its id.
func (r *reader) says(want string) string {
	r.t.Helper()
	id, data := r.next()
	if data != want {
		r.t.Errorf("event %s\nis   %s\nwant %s", id, data, want)
	}
	return id
}

// final returns the data of the last event before the end, "" if there is none with any.
func (r *reader) final() (last string) {
	r.t.Helper()
	for {
		id, data := r.next()
		if id == "" && data == "" {
			return last
		}
		if data != "" {
			last = data
		}
	}
}

// ends checks that no event follows.
func (r *reader) ends() {
	r.t.Helper()
	if id, data := r.next(); data != "" || id != "" {
		r.t.Errorf("event %s follows: %s", id, data)
	}
}

// answer returns the members of the result.
func (r *reader) answer() map[string]json.RawMessage {
	r.t.Helper()
	var answer struct{ Result map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(r.body()), &answer); err != nil {
		r.t.Fatal(err)
	}
	return answer.Result
}
