package oauth

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	bubbleEndpoint = bubbleIssuer + "/introspect"
	opaqueToken    = "2YotnFZFEjr1zCsicMWpAA"
	clientSecret   = "s3cret:with+odd chars"
)

// desk is an issuer without sockets that is asked about tokens.
type desk struct {
	bubble

	status    int
	answer    string
	header    http.Header
	silent    error         // in place of an answer
	open      chan struct{} // answers wait until it is closed, if not nil
	questions []question
	asking    int
	most      int // questions at the same time
}

// question is what one request said.
type question struct {
	url    string
	header http.Header
	form   url.Values
}

func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost {
		return d.bubble.RoundTrip(r)
	}
	form := must(url.ParseQuery(string(must(io.ReadAll(r.Body)))))
	d.mu.Lock()
	d.questions = append(d.questions, question{r.URL.String(), r.Header.Clone(), form})
	d.asking++
	d.most = max(d.most, d.asking)
	open := d.open
	d.mu.Unlock()
	var gone error
	if open != nil {
		select {
		case <-open:
		case <-r.Context().Done():
			gone = r.Context().Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asking--
	if gone != nil || d.silent != nil {
		return nil, fmt.Errorf("dial: %w", cmp.Or(gone, d.silent))
	}
	return &http.Response{StatusCode: d.status, Header: d.header, Body: io.NopCloser(strings.NewReader(d.answer)), Request: r}, nil
}

func (d *desk) asked() []question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.questions)
}

// active is the answer to a good token, with these members over it or, if nil, out of it.
func active(now time.Time, more map[string]any) string {
	answer := map[string]any{
		"active": true, "sub": "alice", "aud": testResource, "client_id": "inspector", "scope": "read write",
		"token_type": "Bearer", "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range more {
		if answer[name] = value; value == nil {
			delete(answer, name)
		}
	}
	return string(must(json.Marshal(answer)))
}

func (d *desk) config() Config {
	return Config{
		Issuers: []string{bubbleIssuer}, Resource: testResource, Transport: d, Logger: slog.New(slog.DiscardHandler),
		Introspection: &Introspection{Endpoint: bubbleEndpoint, Client: ClientAuth{ID: "gate", Secret: clientSecret}},
	}
}

// atDesk runs a test with an issuer that answers, in a bubble with a clock of its own.
func atDesk(t *testing.T, change func(*Config), test func(t *testing.T, d *desk, v *Verifier)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{bubble: bubble{keys: []map[string]any{jwk("a", edKey(), nil)}}, status: 200}
		d.answer = active(time.Now(), nil)
		cfg := d.config()
		if change != nil {
			change(&cfg)
		}
		v, err := NewVerifier(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		test(t, d, v)
	})
}
