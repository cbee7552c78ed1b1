package excerpt

import (
	"bufio"
	"net"
	"net/http"
)

// Hijack gives the connection away, unless something of the answer is to be withheld: nobody
// would do so any more.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.settings.Cut != nil {
		return nil, nil, http.ErrNotSupported
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
