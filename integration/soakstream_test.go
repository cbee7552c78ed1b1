package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// conversation is the event stream of a legacy call.
type conversation struct {
	response *http.Response
	lines    *bufio.Scanner
	text     bytes.Buffer
	last     string // id of an event
	cancel   context.CancelFunc
}

func (w *worker) converse(p *peer, method, body string, change ...func(*http.Request)) (*conversation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r := p.request(ctx, method, body)
	for _, spoil := range change {
		spoil(r)
	}
	response, err := w.gateway.client.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 8<<20)
	return &conversation{response: response, lines: lines, cancel: cancel}, nil
}

// next is the next question; nil at the end, when the answer is there.
func (c *conversation) next() (*posed, error) {
	for c.lines.Scan() {
		line := c.lines.Text()
		c.text.WriteString(line + "\n")
		switch field, value, _ := strings.Cut(line, ": "); field {
		case "id":
			c.last = value
		case "data":
			var q posed
			if json.Unmarshal([]byte(value), &q) == nil && q.Method != "" && q.ID != nil {
				return &q, nil
			}
		}
	}
	if err := c.lines.Err(); err != nil {
		return nil, err
	}
	return nil, nil
}

func (c *conversation) close() {
	c.cancel()
	c.response.Body.Close()
}

func (c *conversation) answer() answer {
	return answer{status: c.response.StatusCode, header: c.response.Header, body: c.text.String()}
}
