package answer

import (
	"net/http"
	"time"
)

// Sent sees to it that the headers of an answer that is begun have been sent: what is taken out
// of them afterwards is missing in logs, and nowhere else. Over HTTP/3 quic-go holds a short
// answer back, with its headers, until the handler returns. A client that takes nothing holds that
// up for no longer than sendTime.
func Sent(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 3 {
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(sendTime))
	_ = rc.Flush() // a client that has gone is told nothing
	_ = rc.SetWriteDeadline(time.Time{})
}

const sendTime = 30 * time.Second
