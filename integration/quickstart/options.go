package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// options are what the command line says.
type options struct {
	port, authPort int
	data           string
	origins        []string
	stdio          string // as the Caddyfile has it
	snapshotd      bool   // the server is this repository's own
	json           bool
}

// inspectorOrigins are where the MCP Inspector serves its page.
const inspectorOrigins = "http://localhost:6274,http://127.0.0.1:6274"

const usage = `Usage: go run ./integration/quickstart [flags]

Brings up Caddy with Snapgate, a development authorization server and a stdio MCP
server, and says how to connect a client. Ctrl-C ends all of it.

`

func parseOptions(args []string, out io.Writer) (*options, error) {
	opts := &options{}
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are reported once, by main
	flags.IntVar(&opts.port, "port", 8443, "port of the gateway on localhost; 0 picks a free one")
	flags.IntVar(&opts.authPort, "auth-port", 9000, "port of the authorization server on localhost; 0 picks a free one. With another port it is another issuer, and its alice another user")
	flags.StringVar(&opts.data, "data", defaultData(), "folder for snapshots, certificates and logs")
	origins := flags.String("origins", inspectorOrigins, "origins of web pages that may call, separated by commas")
	flags.StringVar(&opts.stdio, "stdio", "", "another stdio server to put behind the gateway, such as \"npx -y @modelcontextprotocol/server-everything\" (default: snapshotd, built here)")
	flags.BoolVar(&opts.json, "json", false, "print one line of JSON when ready, for scripts, and nothing else on standard output")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w (see -help)", err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: write another server as -stdio \"command and arguments\"", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "stdio" && strings.TrimSpace(opts.stdio) == "" {
			err = errors.New("-stdio names no command: leave it out to run snapshotd")
		}
	})
	if err != nil {
		return nil, err
	}
	for _, origin := range strings.Split(*origins, ",") {
		if origin = strings.TrimSpace(origin); origin != "" {
			opts.origins = append(opts.origins, origin)
		}
	}
	return opts, opts.check()
}

func (o *options) check() error {
	for name, port := range map[string]int{"port": o.port, "auth-port": o.authPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("-%s %d is not a port: use 0 to 65535", name, port)
		}
	}
	if o.port != 0 && o.port == o.authPort {
		return fmt.Errorf("-port and -auth-port are both %d", o.port)
	}
	// An open quote would swallow what follows.
	const behind = "behind"
	tokens, err := caddyfile.Tokenize([]byte(o.stdio+"\n"+behind), "-stdio")
	if err != nil || tokens[len(tokens)-1].Text != behind {
		return fmt.Errorf("-stdio: quotes are not closed in %s", o.stdio)
	}
	if strings.ContainsAny(o.stdio, "\r\n") || strings.HasSuffix(strings.TrimSpace(o.stdio), "{") {
		return errors.New("-stdio takes a command and its arguments on one line")
	}
	if command := tokens[0].Text; o.stdio != "" && !strings.Contains(command, "{") {
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("-stdio: %q cannot be run: %w", command, errors.Unwrap(err))
		}
	}
	if o.data == "" {
		return errors.New("-data names no folder")
	}
	data, err := filepath.Abs(o.data)
	o.data = data
	return err
}

// defaultData is kept between runs, so that snapshots stay and a CA that was trusted once
// stays trusted.
func defaultData() string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "snapgate-quickstart")
}

// choosePorts finds out now what would fail later with a less plain error.
func (o *options) choosePorts() error {
	var err error
	if o.port, err = freePort("port", o.port); err != nil {
		return err
	}
	o.authPort, err = freePort("auth-port", o.authPort)
	return err
}

func freePort(name string, port int) (int, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("port %d is in use: end what listens there, or choose another with -%s", port, name)
	}
	if err != nil {
		return 0, fmt.Errorf("port %d: %w", port, err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
