package devauth

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// routes lays out the issuer's origin. Endpoints that a client in a browser calls
// are open to all origins, as they answer nothing to a cookie; the pages are not.
func (s *Server) routes() http.Handler {
	library := op.RegisterServer(provider{Server: s}, op.Endpoints{
		Authorization: op.NewEndpoint(s.path + authorizePath),
		Token:         op.NewEndpoint(s.path + tokenPath),
		Revocation:    op.NewEndpoint(s.path + revokePath),
		Introspection: op.NewEndpoint(s.path + introspectPath),
	}, op.WithServerCORSOptions(nil), op.WithEncoder(s.encoder()))

	open := cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"WWW-Authenticate"},
		MaxAge:         600,
	})
	mux := http.NewServeMux()
	for _, path := range s.metadataPaths() {
		mux.Handle(path, open.Handler(only(http.HandlerFunc(s.serveMetadata), http.MethodGet)))
	}
	mux.Handle(s.path+jwksPath, open.Handler(only(http.HandlerFunc(s.serveKeys), http.MethodGet)))
	mux.Handle(s.path+registerPath, open.Handler(only(http.HandlerFunc(s.register), http.MethodPost)))
	mux.Handle(s.path+tokenPath, open.Handler(only(strictForm(library), http.MethodPost)))
	mux.Handle(s.path+revokePath, open.Handler(only(strictForm(library), http.MethodPost)))
	mux.Handle(s.path+introspectPath, only(strictForm(library), http.MethodPost)) // no browser has business there
	mux.Handle(s.path+authorizePath, only(s.forPeople(singleParameters(library)), http.MethodGet, http.MethodPost))
	mux.Handle(s.path+loginPath, only(http.HandlerFunc(s.login), http.MethodGet, http.MethodPost))
	if s.path == "" {
		mux.HandleFunc("/{$}", s.frontPage)
	} else {
		mux.HandleFunc(s.path, s.frontPage)
	}
	return ownHost(mux)
}

// metadataPaths are the places where clients look: RFC 8414 section 3.1 inserts
// the issuer's path behind the well-known one, OpenID Connect Discovery section 4
// appends the well-known one, and MCP clients try all three.
func (s *Server) metadataPaths() []string {
	paths := []string{
		"/.well-known/oauth-authorization-server" + s.path,
		"/.well-known/openid-configuration" + s.path,
	}
	if s.path != "" {
		paths = append(paths, s.path+"/.well-known/openid-configuration")
	}
	return paths
}

// ownHost refuses names that are not loopback, so that no web site can make its
// name resolve to this machine and talk to the server as its own origin.
func ownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !loopbackHost(host) {
			http.Error(w, "this development server answers to loopback names only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func only(next http.Handler, methods ...string) http.Handler {
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// strictForm holds the token, revocation and introspection endpoints to RFC 6749 section 3.2: a
// form body, nothing in the query, no parameter twice. It sets what section 5
// wants on the answer.
func strictForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = &challengeWriter{ResponseWriter: w}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/x-www-form-urlencoded" {
			op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("the Content-Type must be application/x-www-form-urlencoded"), nil)
			return
		}
		if r.URL.RawQuery != "" {
			op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("parameters must not be in the query"), nil)
			return
		}
		if id, secret, ok := r.BasicAuth(); ok && !formEncoded(id, secret) || !ok && r.Header.Get("Authorization") != "" {
			op.WriteError(w, r, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("the Authorization header is not Basic authentication"), http.StatusUnauthorized), nil)
			return
		}
		singleParameters(next).ServeHTTP(w, r)
	})
}

// formEncoded says whether Basic credentials are as RFC 6749 section 2.3.1 wants.
func formEncoded(values ...string) bool {
	for _, value := range values {
		if _, err := url.QueryUnescape(value); err != nil {
			return false
		}
	}
	return true
}

// singleParameters refuses repeated parameters, resource aside (RFC 8707 section
// 2), and takes empty ones for absent (RFC 6749 section 3.1).
func singleParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
		if err := r.ParseForm(); err != nil {
			op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("the form cannot be read"), nil)
			return
		}
		for name, values := range r.Form {
			if len(values) > 1 && name != "resource" {
				op.WriteError(w, r, oidc.ErrInvalidRequestRedirectURI().WithDescription("a parameter is repeated"), nil)
				return
			}
			if len(values) == 1 && values[0] == "" {
				delete(r.Form, name)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// challengeWriter adds the challenge that RFC 6749 section 5.2 wants with 401.
type challengeWriter struct{ http.ResponseWriter }

func (w *challengeWriter) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="devauth"`)
	}
	w.ResponseWriter.WriteHeader(status)
}

// forPeople turns the error that the authorization endpoint cannot send to the
// client into a page: a person in a browser is the only one to see it.
func (s *Server) forPeople(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &heldAnswer{header: http.Header{}, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		if answer.status < 400 {
			maps.Copy(w.Header(), answer.header)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(answer.status)
			return
		}
		var problem metadataError
		if err := json.Unmarshal(answer.body.Bytes(), &problem); err != nil {
			problem = metadataError{Code: "server_error", Description: "the request could not be handled"}
		}
		s.logger.Info("authorization refused", "error", problem.Code, "description", problem.Description)
		s.problemPage(w, answer.status, problem)
	})
}

// heldAnswer keeps an answer back until it is known what it says.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }
