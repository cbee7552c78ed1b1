// Command devauth runs the development authorization server alone, for a gateway
// that was started by hand.
//
//	devauth -listen 127.0.0.1:9000 -resource https://localhost:8443/mcp
//
// It serves loopback addresses only and ends on SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/snapgate/snapgate/integration/devauth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx is done. What a script may read goes to stdout, the log to
// stderr.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	config, listen, tokens, err := parse(arguments, stderr)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	config.Logger = logger
	// The OAuth library logs each refused request, and each route as it is made,
	// to the default logger. Only the first is of use here.
	slog.SetDefault(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))

	srv, err := devauth.New(config)
	if err != nil {
		return err
	}
	if err := srv.Start(listen); err != nil {
		return err
	}
	defer srv.Close()
	fmt.Fprintf(stdout, "issuer %s\n", srv.Issuer())
	for _, subject := range tokens {
		token, err := srv.Mint(devauth.MintOptions{Subject: subject})
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "token %s %s\n", subject, token)
	}
	<-ctx.Done()
	return srv.Close()
}

func parse(arguments []string, stderr io.Writer) (config devauth.Config, listen string, tokens []string, err error) {
	flags := flag.NewFlagSet("devauth", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := func(into *[]string) func(string) error {
		return func(value string) error {
			*into = append(*into, value)
			return nil
		}
	}
	flags.StringVar(&listen, "listen", "127.0.0.1:9000", "loopback `address` to listen on")
	flags.StringVar(&config.Issuer, "issuer", "", "issuer `URL` (default: http:// and the address)")
	flags.Func("resource", "`URI` that tokens may be made for; may be repeated, at least one", list(&config.Resources))
	flags.Func("scope", "`scope` supported beside those of the snapshot server; may be repeated", list(&config.Scopes))
	flags.Func("user", "`subject` to log in as; may be repeated (default: alice and bob)", list(&config.Users))
	flags.DurationVar(&config.TokenTTL, "token-ttl", devauth.DefaultTokenTTL, "`life` of an access token")
	flags.DurationVar(&config.RefreshTTL, "refresh-ttl", devauth.DefaultRefreshTTL, "`life` of a refresh token")
	flags.StringVar(&config.Algorithm, "algorithm", devauth.DefaultAlgorithm, "signature `algorithm`: RS256, PS256, ES256 or EdDSA")
	flags.Func("token", "print a token for this `subject` at start; may be repeated", list(&tokens))
	if err := flags.Parse(arguments); err != nil {
		return config, "", nil, err
	}
	if flags.NArg() > 0 {
		return config, "", nil, fmt.Errorf("devauth: %q is no flag", flags.Arg(0))
	}
	if len(config.Resources) == 0 {
		return config, "", nil, errors.New("devauth: name the resource that tokens are for, such as -resource https://localhost:8443/mcp")
	}
	return config, listen, tokens, nil
}
