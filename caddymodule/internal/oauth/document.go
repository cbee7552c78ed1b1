package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// document is a JSON document that anyone may read.
type document struct {
	body []byte
	etag string
}

func newDocument(body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{body, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// serveDocument answers with a document, which find returns, or nil once it has answered
// itself. Any web page may read it, and caches may keep it for five minutes. Methods other
// than GET, HEAD and OPTIONS are answered 405.
func serveDocument(w http.ResponseWriter, r *http.Request, find func() *document) {
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		d := find()
		if d == nil {
			return
		}
		h.Set("Access-Control-Expose-Headers", "ETag")
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("ETag", d.etag)
		h.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
	case http.MethodOptions:
		// Clients in browsers send MCP-Protocol-Version along, which needs leave.
		// The wildcard does not cover Authorization (Fetch section 3.3.5).
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "*, Authorization, MCP-Protocol-Version")
		h.Set("Access-Control-Max-Age", "86400")
		h.Set("Allow", methods)
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", methods)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}
