package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"slices"
	"strings"
)

// library is a wire of net/http, as most programs in Go that call a server have it.
type library struct {
	client http.Client
	url    string
	header http.Header
	body   bytes.Buffer
}

// useLibrary is the [dialer] of those. Each has its own connection.
func useLibrary(address string, roots *x509.CertPool, header ...string) (*client, error) {
	l := &library{url: address, header: http.Header{}}
	l.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxConnsPerHost: 1, DisableCompression: true}
	for _, line := range slices.Concat(header, always) {
		name, value, _ := strings.Cut(line, ": ")
		l.header.Set(name, value)
	}
	return &client{wire: l}, nil
}

func (l *library) do(method, session string, body []byte) (reply, error) {
	request, err := http.NewRequest(method, l.url, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header = l.header.Clone()
	if session != "" {
		request.Header.Set("Mcp-Session-Id", session)
		request.Header.Set("Mcp-Protocol-Version", legacyVersion)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	l.body.Reset()
	if _, err := io.Copy(&l.body, response.Body); err != nil {
		return reply{}, err
	}
	r := reply{response.StatusCode, response.Header.Get("Mcp-Session-Id"), l.body.Bytes()}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		r.body = lastData(r.body)
	}
	return r, nil
}

func (l *library) close() error {
	l.client.CloseIdleConnections()
	return nil
}
