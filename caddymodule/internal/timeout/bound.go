package timeout

import (
	"net/http"
	"sync"
	"time"
)

// bound ends the read or write of a handler that takes too long. To be used again it keeps
// what it calls then.
type bound struct {
	Timeout
	w      http.ResponseWriter
	set    func(*http.ResponseController, time.Time) error
	expire func()
}

var bounds = sync.Pool{New: func() any {
	b := &bound{}
	b.expire = func() { _ = b.set(http.NewResponseController(b.w), Past) }
	return b
}}

// Read bounds the time that read may take for the body of a request. It ends then with
// [os.ErrDeadlineExceeded]. A writer that knows no deadline is left to the server's own
// timeouts. What is read in time leaves the connection as it was.
func (q *Queue) Read(w http.ResponseWriter, read func() error) error {
	return q.bound(w, (*http.ResponseController).SetReadDeadline, read)
}

// Write is the same for what is written of an answer.
func (q *Queue) Write(w http.ResponseWriter, write func() error) error {
	return q.bound(w, (*http.ResponseController).SetWriteDeadline, write)
}

func (q *Queue) bound(w http.ResponseWriter, set func(*http.ResponseController, time.Time) error, do func() error) (err error) {
	b := bounds.Get().(*bound)
	b.w, b.set = w, set
	q.Begin(&b.Timeout, b.expire)
	defer func() { // though do may panic: the connection is not to be touched after its handler
		if !b.End() && err == nil {
			_ = set(http.NewResponseController(w), time.Time{}) // it was done at the last moment
		}
		b.w = nil
		bounds.Put(b)
	}()
	return do()
}
