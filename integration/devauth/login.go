package devauth

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// browserCookieName holds a random value for the browser. Logins in several tabs
// share it.
const browserCookieName = "devauth_browser"

func (s *Server) browserCookie(value string) *http.Cookie {
	return &http.Cookie{
		Name:     browserCookieName,
		Value:    value,
		Path:     s.path + "/",
		HttpOnly: true,
		Secure:   strings.HasPrefix(s.issuer, "https:"),
		SameSite: http.SameSiteLaxMode, // the client's redirect to us must carry it
	}
}

func browserOf(r *http.Request) string {
	cookie, err := r.Cookie(browserCookieName)
	if err != nil || len(cookie.Value) > 64 || !unreserved(cookie.Value) {
		return ""
	}
	return cookie.Value
}

// login shows the page for an authorization request (GET) and takes the answer
// (POST).
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
	if err := r.ParseForm(); err != nil {
		s.problemPage(w, http.StatusBadRequest, metadataError{Code: "invalid_request", Description: "The form cannot be read."})
		return
	}
	id := r.Form.Get("request")
	s.mu.Lock()
	pending, ok := s.pending.get(id)
	s.mu.Unlock()
	if !ok || !equal(pending.browser, browserOf(r)) {
		s.problemPage(w, http.StatusBadRequest, metadataError{
			Code:        "invalid_request",
			Description: "This login has ended, or was started in another browser or without cookies. Start again from the client.",
		})
		return
	}
	if r.Method != http.MethodPost {
		s.loginPage(w, http.StatusOK, id, pending, "", pending.loginHint, nil)
		return
	}
	s.decide(w, r, id, pending)
}

// decide takes the person's answer. Another site can make the browser send a
// form, cookie and all; it has neither our origin nor the value in the page.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, id string, pending *pendingRequest) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil || !equal(pending.csrf, r.PostForm.Get("csrf")) {
		s.logger.Warn("login form refused", "origin", r.Header.Get("Origin"))
		s.problemPage(w, http.StatusForbidden, metadataError{Code: "access_denied", Description: "The form did not come from this server's page."})
		return
	}
	user := r.PostForm.Get("user")
	scopes := slices.DeleteFunc(slices.Clone(pending.scopes), func(scope string) bool {
		return !slices.Contains(r.PostForm["scope"], scope)
	})
	switch decision := r.PostForm.Get("decision"); {
	case decision == "cancel":
		s.finish(w, id, pending, func() any {
			return &oidc.Error{ErrorType: oidc.AccessDenied, Description: "the user refused", State: pending.state}
		})
	case decision != "allow":
		s.loginPage(w, http.StatusBadRequest, id, pending, "Answer with Allow or Cancel.", user, r.PostForm["scope"])
	case !slices.Contains(s.config.Users, user):
		s.loginPage(w, http.StatusBadRequest, id, pending, "Choose who you log in as.", user, r.PostForm["scope"])
	case len(scopes) == 0:
		s.loginPage(w, http.StatusBadRequest, id, pending, "Tick at least one thing to allow, or cancel.", user, []string{})
	default:
		s.finish(w, id, pending, func() any {
			s.logger.Info("login", "subject", user, "client_id", pending.client.id, "scopes", scopes)
			return &op.CodeResponseType{Code: s.issueCode(pending, user, scopes), State: pending.state}
		})
	}
}

// finish sends the browser back to the client. A page answers once: of two
// submits at the same time one finds the request gone.
func (s *Server) finish(w http.ResponseWriter, id string, pending *pendingRequest, response func() any) {
	s.mu.Lock()
	_, open := s.pending.get(id)
	s.pending.delete(id)
	s.mu.Unlock()
	if !open {
		s.problemPage(w, http.StatusBadRequest, metadataError{Code: "invalid_request", Description: "This login was answered already."})
		return
	}
	target, err := s.authorizationResponse(pending, response())
	if err != nil {
		s.logger.Error("authorization response", "error", err)
		s.problemPage(w, http.StatusInternalServerError, metadataError{Code: "server_error", Description: "The answer could not be made."})
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther) // never 307: it would post the form to the client (RFC 9700 section 4.12)
}

func equal(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
