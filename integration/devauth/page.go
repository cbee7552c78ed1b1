package devauth

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var pages = template.Must(template.New("pages").Parse(pageSource))

// The one style sheet is in the page and let in by its digest; nothing else is.
var styleDigest = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

// What a person reads beside a scope's name.
var scopeMeanings = map[string]string{
	ScopeRead:               "list and load snapshots",
	ScopeWrite:              "save snapshots",
	ScopeDelete:             "delete snapshots",
	ScopeExport:             "export snapshots",
	ScopeAdmin:              "read, export and delete the snapshots of all users",
	oidc.ScopeOfflineAccess: "stay logged in",
	oidc.ScopeOpenID:        "tell the client who you are",
}

// frame is what every page has.
type frame struct {
	Title string
	Style template.CSS
}

type choice struct {
	Name    string
	Meaning string
	Chosen  bool
}

type loginPage struct {
	frame
	Problem   string
	Name      string
	ClientID  string
	Resources []string
	ReturnsTo string
	Action    string
	ID        string
	CSRF      string
	Users     []choice
	Scopes    []choice
}

// loginPage shows who asks for what. No user is chosen beforehand unless the
// client hinted at one; all scopes but that of administrators are, or those in ticked
// when it is not nil.
func (s *Server) loginPage(w http.ResponseWriter, status int, id string, pending *pendingRequest, problem, user string, ticked []string) {
	page := loginPage{
		frame:     frame{Title: "Allow access?", Style: template.CSS(pageStyle)},
		Problem:   problem,
		Name:      pending.client.name,
		ClientID:  pending.client.id,
		Resources: pending.resources,
		ReturnsTo: pending.redirectURI,
		Action:    s.path + loginPath,
		ID:        id,
		CSRF:      pending.csrf,
	}
	if u, err := url.Parse(pending.redirectURI); err == nil && u.Host != "" {
		page.ReturnsTo = u.Scheme + "://" + u.Host // what matters of it
	}
	for _, name := range s.config.Users {
		page.Users = append(page.Users, choice{Name: name, Chosen: name == user})
	}
	for _, scope := range pending.scopes {
		chosen := ticked == nil && scope != ScopeAdmin || slices.Contains(ticked, scope)
		page.Scopes = append(page.Scopes, choice{Name: scope, Meaning: scopeMeanings[scope], Chosen: chosen})
	}
	// Browsers hold the redirect that answers a form to form-action as well, so
	// the client's origin has to be in it.
	s.render(w, status, "login", page, "'self' "+redirectOrigin(pending.redirectURI))
}

func (s *Server) problemPage(w http.ResponseWriter, status int, problem metadataError) {
	s.render(w, status, "problem", struct {
		frame
		Problem, Code string
	}{frame{"This login cannot go on", template.CSS(pageStyle)}, problem.Description, problem.Code}, "'none'")
}

// frontPage answers a person who opens the issuer itself.
func (s *Server) frontPage(w http.ResponseWriter, _ *http.Request) {
	s.render(w, http.StatusOK, "front", struct {
		frame
		Issuer string
		Links  []string
	}{frame{"Development authorization server", template.CSS(pageStyle)}, s.issuer, append(s.metadataPaths(), s.path+jwksPath)}, "'none'")
}

func (s *Server) render(w http.ResponseWriter, status int, name string, page any, formAction string) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, page); err != nil {
		s.logger.Error("page", "name", name, "error", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleDigest+"'; form-action "+formAction+"; frame-ancestors 'none'; base-uri 'none'")
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	// Not no-referrer: browsers then send "Origin: null" with the form.
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a person who left is no error of ours
}
