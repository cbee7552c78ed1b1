package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// A client that comes without a token is told where to get one and what to ask
// for, and of no error, since it made none.
func Example() {
	const resource = "https://snapshots.example.com/mcp"
	verifier, err := oauth.NewVerifier(oauth.Config{
		Issuers:  []string{"https://auth.example.com"},
		Resource: resource,
	})
	if err != nil {
		panic(err)
	}
	defer verifier.Close()

	authenticator, err := oauth.NewAuthenticator(verifier, oauth.Presentation{ProofAlgorithms: []string{"ES256"}})
	if err != nil {
		panic(err)
	}

	protect := func(w http.ResponseWriter, r *http.Request) {
		_, err := authenticator.Authenticate(r, w.Header())
		var refusal *oauth.Error
		if errors.As(err, &refusal) {
			refusal.WriteChallenge(w.Header(), oauth.MetadataURL(resource), []string{"snapshot:read"}, authenticator.Schemes())
			w.WriteHeader(refusal.Status)
		}
	}

	w := httptest.NewRecorder()
	protect(w, httptest.NewRequest("POST", resource, nil))
	fmt.Println(w.Code)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		fmt.Println(challenge)
	}
	// Output:
	// 401
	// Bearer scope="snapshot:read", resource_metadata="https://snapshots.example.com/.well-known/oauth-protected-resource/mcp"
	// DPoP scope="snapshot:read", algs="ES256", resource_metadata="https://snapshots.example.com/.well-known/oauth-protected-resource/mcp"
}
