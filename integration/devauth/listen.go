package devauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"
)

// ErrNotLoopback is wrapped by the error for an address or issuer that others
// than this machine could reach.
var ErrNotLoopback = errors.New("devauth serves loopback addresses only, it lets anyone in as anyone")

// Start listens on a loopback address, such as 127.0.0.1:9000 or localhost:0,
// and serves until Close. The error wraps [ErrNotLoopback] for any other address,
// or is the listener's own, of a port in use for one.
func (s *Server) Start(address string) error {
	if s.listener != nil {
		return errors.New("devauth: already started")
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("devauth: listen address %q: %w", address, err)
	}
	if !loopbackHost(host) {
		return fmt.Errorf("devauth: listen address %q: %w", address, ErrNotLoopback)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("devauth: %w", err)
	}
	// What "localhost" resolves to is the machine's affair, so look again.
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("devauth: %q became %s: %w", address, listener.Addr(), ErrNotLoopback), listener.Close())
	}
	if s.issuer == "" {
		s.issuer = "http://" + listener.Addr().String()
	}
	s.listener = listener
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
	}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("serving ended", "error", err)
		}
	}()
	s.logger.Info("listening", "issuer", s.issuer, "address", listener.Addr().String())
	return nil
}

// Addr is the address that the server listens on, "" if it was not started.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close stops listening, gives open requests two seconds, and returns when the
// serving goroutine has ended. Closing a server that was not started is nothing.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.served
	return err
}

// parseIssuer returns the issuer's path, "" for none.
func parseIssuer(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("devauth: issuer: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Opaque != "":
		return "", fmt.Errorf("devauth: issuer %q is not an http or https URL", issuer)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(issuer, "#"):
		// RFC 8414 section 2 forbids query and fragment.
		return "", fmt.Errorf("devauth: issuer %q must have no user, query or fragment", issuer)
	case strings.HasSuffix(issuer, "/"):
		// Clients compare issuers by simple string comparison.
		return "", fmt.Errorf("devauth: issuer %q must not end in a slash", issuer)
	case u.Path != "" && path.Clean(u.Path) != u.Path, strings.ContainsAny(u.Path, "{}"), u.RawPath != "":
		return "", fmt.Errorf("devauth: the path of issuer %q must be plain", issuer)
	case !loopbackHost(u.Hostname()):
		return "", fmt.Errorf("devauth: issuer %q: %w", issuer, ErrNotLoopback)
	}
	return u.Path, nil
}

// loopbackHost knows a host name or address, without port, that cannot lead off
// this machine. Names other than localhost are not resolved: they may change.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
