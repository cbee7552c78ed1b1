package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxDocumentBytes bounds what an issuer may answer with.
	maxDocumentBytes = 1 << 20
	// maxRedirects bounds a chain of redirects, all within one origin.
	maxRedirects = 3
)

// fetcher gets documents from issuers: bounded in size, time being bounded by
// the context, and never from another origin than the one asked, so that no
// redirect leads into a network that only the gateway can reach.
type fetcher struct {
	client *http.Client
	strict *http.Client // follows no redirect
	close  func()
}

// newFetcher uses the transport, or one of its own if that is nil.
func newFetcher(transport http.RoundTripper) *fetcher {
	f := &fetcher{close: func() {}}
	if transport == nil {
		own := &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    fetchTimeout,
			ResponseHeaderTimeout:  fetchTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    maxAsking,
			IdleConnTimeout:        30 * time.Second,
		}
		f.close = own.CloseIdleConnections
		transport = own
	}
	f.client = &http.Client{Transport: transport, CheckRedirect: sameOrigin}
	f.strict = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return f
}

// sameOrigin lets a redirect pass that stays on scheme, host and port.
func sameOrigin(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case req.URL.Scheme != first.Scheme || lowerASCII(req.URL.Host) != lowerASCII(first.Host):
		return errors.New("redirects to another origin, which is not followed")
	case len(via) > maxRedirects:
		return fmt.Errorf("redirects more than %d times", maxRedirects)
	}
	return nil
}

// get returns the body of a 200 answer. Errors name the address.
func (f *fetcher) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("request for %s: %w", address, err)
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err // a *url.Error, which names method and address
	}
	defer resp.Body.Close()
	return documentOf(resp, address)
}

// post sends a form and returns the body of a 200 answer. No redirect is followed: what
// is in the form is for this address. Errors name the address and nothing of the form.
func (f *fetcher) post(ctx context.Context, address string, header http.Header, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("request for %s: %w", address, err)
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := f.strict.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%s: answered %d: it does not accept how the gateway authenticates itself, or its request", address, resp.StatusCode)
	}
	return documentOf(resp, address)
}

// documentOf reads the body of an answer, if that is 200 and not too large.
func documentOf(resp *http.Response, address string) ([]byte, error) {
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: answered %d, not 200", address, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocumentBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if len(body) > maxDocumentBytes {
		return nil, fmt.Errorf("%s: answer is larger than 1 MiB", address)
	}
	return body, nil
}
