package admission

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// checkAccept holds what the transports ask of a client: it takes JSON and an event
// stream for a POST, an event stream for a GET. An absent field accepts anything
// (RFC 9110 section 12.5.1).
func checkAccept(r *http.Request) *answer.Refusal {
	if r.Method == http.MethodDelete {
		return nil
	}
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return nil
	}
	if len(values) == 1 && (values[0] == "application/json, text/event-stream" || values[0] == "text/event-stream, application/json") {
		return nil // what clients send
	}
	json, stream := taste{"application/json", "application/*", 0, false}, taste{"text/event-stream", "text/*", 0, false}
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			weight, err := strconv.ParseFloat(params["q"], 64)
			taken := params["q"] == "" || err == nil && weight > 0
			json.hear(media, taken)
			stream.hear(media, taken)
		}
	}
	switch {
	case r.Method == http.MethodGet && !stream.taken:
		return answer.New(http.StatusNotAcceptable, protocol.CodeInvalidRequest, "Not acceptable: Accept must include text/event-stream")
	case r.Method == http.MethodPost && !(json.taken && stream.taken):
		return answer.New(http.StatusNotAcceptable, protocol.CodeInvalidRequest, "Not acceptable: Accept must include application/json and text/event-stream")
	}
	return nil
}

// taste is whether a client takes a media type. Of the ranges that it falls into the narrowest
// counts (RFC 9110 section 12.5.1).
type taste struct {
	media, kind string
	narrow      int // how narrow the range is that was heard of
	taken       bool
}

func (t *taste) hear(media string, taken bool) {
	narrow := slices.Index([]string{"*/*", t.kind, t.media}, media) + 1
	if narrow > t.narrow || narrow > 0 && narrow == t.narrow && taken {
		t.narrow, t.taken = narrow, taken
	}
}

// readMessage reads the body, bounded in size and time, and parses it.
func (g *Gate) readMessage(w http.ResponseWriter, r *http.Request, call *Call) *answer.Refusal {
	if refusal := checkContent(r); refusal != nil {
		return refusal
	}
	body, refusal := g.readBody(w, r)
	if refusal != nil {
		return refusal
	}
	call.Bytes = len(body)
	msg, err := message.Parse(body, 0)
	if err != nil {
		code := protocol.CodeInvalidRequest
		call.Message = &message.Message{}
		switch {
		case errors.Is(err, message.ErrSyntax):
			code = protocol.CodeParse
		case message.IDKey(msg.ID) != "":
			call.Message.ID = msg.ID // so that the answer names it
		}
		return answer.New(http.StatusBadRequest, code, "%v", err)
	}
	call.Message = msg
	if refusal := checkShape(msg); refusal != nil {
		return refusal
	}
	call.About, refusal = readTarget(msg)
	return refusal
}

// checkShape refuses a message whose method or target could be read in two ways: policy
// and server must see the same.
func checkShape(m *message.Message) *answer.Refusal {
	if m.Kind == message.Notification && message.IsRequest(m.Method) {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "%s is a request: it needs an id", m.Method)
	}
	if member := mirroredMember(m.Method); member != "" {
		if _, ok := m.Params.String(member); !ok {
			return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, "params.%s must be a string", member)
		}
	}
	if version := m.Meta.Get(message.MetaProtocolVersion); version != nil && version[0] != '"' {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, "params._meta: %q must be a string", message.MetaProtocolVersion)
	}
	return nil
}

func checkContent(r *http.Request) *answer.Refusal {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return answer.New(http.StatusUnsupportedMediaType, protocol.CodeInvalidRequest, "Content-Type must be application/json")
	}
	media, params, err := types[0], map[string]string(nil), error(nil)
	if media != "application/json" {
		media, params, err = mime.ParseMediaType(types[0])
	}
	if charset := params["charset"]; err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return answer.New(http.StatusUnsupportedMediaType, protocol.CodeInvalidRequest, "Content-Type must be application/json")
	}
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			// RFC 9110 section 12.5.3: say which encodings would do.
			return answer.New(http.StatusUnsupportedMediaType, protocol.CodeInvalidRequest, "Content-Encoding is not accepted: send the body as it is").With("Accept-Encoding", "identity")
		}
	}
	return nil
}

// readAhead is as much memory as is taken for a body before any of it is there, in bytes.
const readAhead = 64 << 10

func (g *Gate) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *answer.Refusal) {
	limit := g.settings.MaxBody
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	// Most bodies are there already, and to set a deadline for each would cost more than to
	// read them.
	var body []byte
	err := g.bodies.Read(w, func() (err error) {
		body, err = readAll(w, r, limit)
		return err
	})
	if err == nil {
		return body, nil
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, answer.New(http.StatusRequestTimeout, protocol.CodeInvalidRequest, "The body did not arrive within %v", g.settings.BodyTimeout).With("Connection", "close")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, answer.New(http.StatusBadRequest, protocol.CodeParse, "The body ended too early")
	}
	return nil, answer.New(http.StatusBadRequest, protocol.CodeParse, "The body could not be read")
}

// readAll takes no more memory for a short body than it has bytes. What is announced need not
// come: for a long one more is taken as it does.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	announced := r.ContentLength
	if 0 < announced && announced <= min(readAhead, limit) {
		body := make([]byte, announced)
		_, err := io.ReadFull(r.Body, body) // the server ends a body where it is announced to end
		return body, err
	}
	var buf bytes.Buffer
	if announced > 0 {
		buf.Grow(readAhead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	return buf.Bytes(), err
}

func tooLarge(limit int64) *answer.Refusal {
	return answer.New(http.StatusRequestEntityTooLarge, protocol.CodeInvalidRequest, "The body is larger than %d bytes", limit)
}
