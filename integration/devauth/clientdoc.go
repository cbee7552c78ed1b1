package devauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Bounds of a fetch. The draft (OAuth Client ID Metadata Document) has servers
// take documents of 5 kB at least.
const (
	maxDocument     = 64 << 10
	documentTimeout = 5 * time.Second
)

// clientDocument is what a client id that is a URL was found to say.
type clientDocument struct {
	client  *client
	fetched time.Time
}

// isDocumentURL says whether a client id is the address of a metadata document:
// https, or http on loopback for development. Ids from registration never are.
func isDocumentURL(id string) bool {
	return strings.HasPrefix(id, "https://") || strings.HasPrefix(id, "http://")
}

// checkDocumentURL holds a client id to section 3 of the draft.
func checkDocumentURL(id string) error {
	u, err := url.Parse(id)
	switch {
	case err != nil:
		return errors.New("the client id is not a URL")
	case u.Hostname() == "", u.User != nil, strings.Contains(id, "#"):
		return errors.New("the client id must have a host, no user and no fragment")
	case u.Path == "" || u.Path == "/":
		return errors.New("the client id must have a path")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return errors.New("the client id must be https")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return errors.New("the client id must have no dot segments")
		}
	}
	return nil
}

// documentedClient returns the client that the document at id describes. Only
// good documents are remembered, and only a login has one fetched.
func (s *Server) documentedClient(ctx context.Context, id string, fresh bool) (*client, error) {
	if err := checkDocumentURL(id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	known, ok := s.documents.get(id)
	s.mu.Unlock()
	if ok && (!fresh || s.now().Before(known.fetched.Add(documentTTL))) {
		return known.client, nil
	}
	if !fresh {
		return nil, errUnknownClient // no login, so nothing to redeem either
	}
	metadata, err := s.fetchDocument(ctx, id)
	if err != nil {
		s.logger.Warn("client metadata document refused", "client_id", id, "error", err)
		return nil, fmt.Errorf("client metadata document: %w", err)
	}
	found := s.newClient(id, "", metadata)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents.put(id, &clientDocument{client: found, fetched: s.now()})
	return found, nil
}

func (s *Server) fetchDocument(ctx context.Context, id string) (*clientMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, documentTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.fetcher.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d instead of 200", response.StatusCode)
	}
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, errors.New("is not application/json")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("is larger than %d bytes", maxDocument)
	}
	return parseDocument(id, body)
}

// parseDocument applies section 4 of the draft: the document names its own
// address, and there is no place in it for a shared secret.
func parseDocument(id string, body []byte) (*clientMetadata, error) {
	var document struct {
		clientMetadata
		ClientID     string          `json:"client_id"`
		ClientSecret json.RawMessage `json:"client_secret"`
		Expires      json.RawMessage `json:"client_secret_expires_at"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("is not client metadata: %w", err)
	}
	if document.ClientID != id {
		return nil, fmt.Errorf("its client_id is %q, not its address", document.ClientID)
	}
	if document.ClientSecret != nil || document.Expires != nil {
		return nil, errors.New("has a client secret")
	}
	if document.AuthMethod == "" {
		document.AuthMethod = oidc.AuthMethodNone
	}
	if document.AuthMethod != oidc.AuthMethodNone {
		return nil, fmt.Errorf("token_endpoint_auth_method %q is not none", document.AuthMethod)
	}
	if refused := document.validate(); refused != nil {
		return nil, refused
	}
	return &document.clientMetadata, nil
}

// documentClient never follows a redirect and, unless the operator brought a
// client of their own, never connects to a private or link-local address: the URL
// is a stranger's word (section 6.5 of the draft).
func documentClient(own *http.Client) *http.Client {
	fetcher := &http.Client{Timeout: documentTimeout}
	if own != nil {
		copied := *own
		fetcher = &copied
	} else {
		dialer := &net.Dialer{Timeout: documentTimeout, Control: refusePrivateAddress}
		fetcher.Transport = &http.Transport{
			DialContext:           dialer.DialContext,
			TLSHandshakeTimeout:   documentTimeout,
			ResponseHeaderTimeout: documentTimeout,
			ForceAttemptHTTP2:     true,
			DisableKeepAlives:     true,
		}
	}
	fetcher.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return fetcher
}

// refusePrivateAddress looks at the address after name resolution, so that a name
// cannot change between check and use.
func refusePrivateAddress(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := target.Addr().Unmap()
	if ip.IsLoopback() || ip.IsGlobalUnicast() && !ip.IsPrivate() {
		return nil
	}
	return fmt.Errorf("%s is neither a public nor a loopback address", ip)
}
