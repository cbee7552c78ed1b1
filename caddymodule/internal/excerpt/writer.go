package excerpt

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// MaxMessage is the largest message that is read of an answer, in bytes: as large as a line of
// a server on standard output may be.
const MaxMessage = 16 << 20

// Settings are those of a [Writer].
type Settings struct {
	// Cut says what is withheld; nil withholds nothing.
	Cut *Cut
	// Header may change the header of an answer, once, before it is sent; nil changes nothing.
	Header func(http.Header)
	// Refuse answers in place of the server, if nothing was sent yet. It is needed with Cut.
	Refuse func(http.ResponseWriter, *answer.Refusal)
	// Report is told what was withheld because it could not be read, where nobody is refused
	// for that: in a stream that has begun, and in the answer to what is no request. It is
	// needed with Cut.
	Report func(reason string)
	// MaxMessage bounds a message in bytes; 0 means [MaxMessage].
	MaxMessage int
}

// Writer is what a server's answer is written to. What of it needs no change goes on at once.
type Writer struct {
	http.ResponseWriter
	settings Settings
	way      way
	begun    bool // the answer
	refused  bool
	status   int                 // of an answer that is kept
	fields   map[string]struct{} // of its header
	body     []byte
	events   *events
}

// way is how an answer is treated.
type way uint8

const (
	untouched way = iota
	kept          // until it is whole
	streamed      // event by event
)

// NewWriter makes a writer. Whoever made it calls [Writer.Close] once the answer is written.
func NewWriter(w http.ResponseWriter, s Settings) *Writer {
	if s.MaxMessage == 0 {
		s.MaxMessage = MaxMessage
	}
	return &Writer{ResponseWriter: w, settings: s}
}

// Release leaves the answer to a handler that cuts it itself. It must be called before
// anything of that is written.
func (w *Writer) Release() { w.settings.Cut, w.settings.Header = nil, nil }

// Refused says whether the gateway has answered in place of the server.
func (w *Writer) Refused() bool { return w.refused }

// Unwrap is for [http.ResponseController].
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the answer, or sends an interim one.
func (w *Writer) WriteHeader(status int) {
	switch {
	case w.begun:
	case status < http.StatusOK:
		w.ResponseWriter.WriteHeader(status)
	default:
		w.begin(status)
	}
}

func (w *Writer) send(status int) {
	if w.settings.Header != nil {
		w.settings.Header(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// begin decides what becomes of the answer.
func (w *Writer) begin(status int) {
	w.begun = true
	var refusal *answer.Refusal
	if w.way, refusal = w.choose(status); refusal != nil {
		w.refuse(refusal)
		return
	}
	switch w.way {
	case kept:
		w.status, w.fields = status, make(map[string]struct{}, len(w.Header()))
		for name := range w.Header() {
			w.fields[name] = struct{}{}
		}
		return
	case streamed:
		w.events = &events{cut: w.settings.Cut, limit: w.settings.MaxMessage, report: w.settings.Report}
		w.otherBody()
	}
	w.send(status)
}

// choose finds how an answer of this status, with the header that is set, is to be treated.
func (w *Writer) choose(status int) (way, *answer.Refusal) {
	cut := w.settings.Cut
	if cut == nil || status == http.StatusNoContent || status == http.StatusNotModified {
		return untouched, nil
	}
	media := mediaType(w.Header().Get("Content-Type"))
	by := untouched
	switch {
	case media == "text/event-stream":
		by = streamed
	case !cut.whole() || status >= http.StatusMultipleChoices || status == http.StatusAccepted && media != "application/json":
		return untouched, nil // it can be no list
	case media == "application/json" || media == "":
		by = kept
	case cut.ID == nil:
		return untouched, nil // no message, and nobody waits for one
	default:
		return untouched, withheld("its Content-Type is neither application/json nor text/event-stream")
	}
	switch encoding := strings.Join(w.Header().Values("Content-Encoding"), ","); {
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return untouched, withheld("it is compressed, though that was not asked for")
	case status == http.StatusPartialContent:
		return untouched, withheld("it is a part only, though that was not asked for")
	}
	return by, nil
}

func mediaType(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media
}

// withheld is the refusal where an answer cannot be cut.
func withheld(why string) *answer.Refusal {
	refusal := answer.New(http.StatusBadGateway, protocol.CodeInternal, "The gateway cannot tell what of the server's answer you may see, and withholds it")
	refusal.Reason = "the answer of the server behind is withheld: " + why
	return refusal
}

// bodyFields describe a body that is sent no more.
var bodyFields = []string{
	"Content-Length", "Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges", "Content-Range",
}

// otherBody leaves out of the header what does not hold for a body that is edited.
func (w *Writer) otherBody() {
	for _, name := range bodyFields {
		w.Header().Del(name)
	}
}

func (w *Writer) refuse(refusal *answer.Refusal) {
	w.refused, w.body = true, nil
	w.otherBody()
	w.Header().Del("Content-Encoding")
	w.Header().Del("Trailer")
	if w.settings.Header != nil {
		w.settings.Header(w.Header())
	}
	w.settings.Refuse(w.ResponseWriter, refusal)
}

// Write takes a piece of the answer. The error says that it is withheld, or is that of the
// connection to the client.
func (w *Writer) Write(p []byte) (int, error) {
	if !w.begun {
		w.begin(http.StatusOK)
	}
	switch {
	case w.refused:
		return 0, errWithheld
	case w.way == untouched:
		return w.ResponseWriter.Write(p)
	case w.way == streamed:
		w.events.feed(p)
		if err := w.take(); err != nil {
			return 0, err
		}
		return len(p), nil
	case len(w.body)+len(p) > w.settings.MaxMessage:
		w.refuse(withheld("it is larger than " + strconv.Itoa(w.settings.MaxMessage) + " bytes"))
		return 0, errWithheld
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// take writes what of the events may pass.
func (w *Writer) take() error {
	out := w.events.out
	if len(out) == 0 {
		return nil
	}
	w.events.out = out[:0]
	if cap(out) > maxIdle {
		w.events.out = nil
	}
	_, err := w.ResponseWriter.Write(out)
	return err
}

// Close ends an answer that its server has ended well. One that broke off is not to be closed:
// what is not whole does not pass.
func (w *Writer) Close() error {
	switch {
	case w.refused:
		return nil
	case !w.begun: // without a body
		if w.settings.Header != nil {
			w.settings.Header(w.Header())
		}
		return nil
	case w.way == streamed:
		w.events.end()
		return w.take()
	case w.way == kept:
		return w.sendKept()
	}
	return nil
}

// sendKept sends a body that is whole.
func (w *Writer) sendKept() error {
	body := w.body
	w.body = nil
	for name := range w.Header() {
		if _, there := w.fields[name]; !there {
			w.Header().Del(name) // a trailer: what was in no header must not come into it
		}
	}
	w.Header().Del("Trailer")
	if len(bytes.TrimSpace(body)) > 0 {
		cut := w.settings.Cut
		edited, passes, err := cut.judge(body)
		switch {
		case cut.ID == nil && (err != nil || !passes):
			// Servers acknowledge notifications in all sorts of ways. Nobody reads that, and a
			// refusal might end a session.
			w.settings.Report("the body of an answer to no request is no message that may be seen")
			body = nil
			w.otherBody()
		case err != nil:
			w.refuse(withheld("it is no valid message: " + err.Error()))
			return nil
		case !passes:
			w.refuse(withheld("it is no answer"))
			return nil
		case edited != nil:
			body = edited
			w.otherBody()
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	w.send(w.status)
	_, err := w.ResponseWriter.Write(body)
	return err
}

// FlushError sends what was written, as far as it may be sent yet.
func (w *Writer) FlushError() error {
	if !w.begun {
		w.begin(http.StatusOK)
	}
	if w.way == kept && !w.refused {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for those who look for an [http.Flusher].
func (w *Writer) Flush() { _ = w.FlushError() }
