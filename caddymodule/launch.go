package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/identity"
)

// launchTemplates are the parts of a launch that may speak of the user.
type launchTemplates struct {
	command []template
	env     []envTemplate // by name
	dir     template
	passEnv []string
	userEnv bool // the SNAPGATE_ variables
	// fixed is the launch of everyone, those variables apart, if no template speaks of
	// the user.
	fixed *process.Config
}

type envTemplate struct {
	name  string
	value template
}

// tryOut refuses values that are wrong by themselves or beside others. The replacer fills in what
// is known before a process starts.
func (s *Stdio) tryOut(repl *caddy.Replacer) (launchTemplates, error) {
	if err := s.check(); err != nil {
		return launchTemplates{}, err
	}
	t, err := s.parse(repl)
	switch {
	case err != nil:
	case s.Per == perShared && t.fixed == nil:
		err = errors.New("stdio: a placeholder such as {mcp.user} differs between users, and per shared has one process for all of them: write \"per user\" or leave the placeholder out")
	case s.Prewarm > 0 && t.fixed == nil:
		err = errors.New("prewarm: a process that is started beforehand has no user yet, so no placeholder such as {mcp.user} may stand in its arguments, dir or env: leave it out, or prewarm")
	case s.Prewarm > 0 && t.userEnv && s.Anonymous == "":
		err = errors.New("prewarm: a process that is started beforehand cannot have its user in the environment: write \"identity meta\" beside stdio, so that the user stands in each message only")
	case s.Anonymous != "" && t.fixed == nil:
		err = errors.New("stdio: a placeholder such as {mcp.user} needs a verified user, and anonymous asks for none")
	}
	return t, err
}

// parse reads the templates, and refuses what cannot be filled in when a process starts.
func (s *Stdio) parse(repl *caddy.Replacer) (launchTemplates, error) {
	t := launchTemplates{passEnv: s.PassEnv, userEnv: s.Per != perShared && s.tellsIn("env")}
	static := true
	for i, arg := range s.Command {
		parsed, err := parseTemplate(repl, arg)
		if err != nil {
			return t, fmt.Errorf("stdio: %w", err)
		}
		if i == 0 && !parsed.static() {
			return t, fmt.Errorf("stdio: %q: nothing of a user may choose the command", arg)
		}
		static = static && parsed.static()
		t.command = append(t.command, parsed)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if err := checkEnvName(name); err != nil {
			return t, err
		}
		parsed, err := parseTemplate(repl, s.Env[name])
		if err != nil {
			return t, fmt.Errorf("env %s: %w", name, err)
		}
		static = static && parsed.static()
		t.env = append(t.env, envTemplate{name, parsed})
	}
	for _, name := range s.PassEnv {
		if err := checkEnvName(name); err != nil {
			return t, err
		}
	}
	var err error
	if t.dir, err = parseTemplate(repl, s.Dir); err != nil {
		return t, fmt.Errorf("dir: %w", err)
	}
	if static && t.dir.static() {
		cfg, err := t.expand(nil)
		if err != nil {
			return t, err
		}
		t.fixed = &cfg
	}
	return t, nil
}

func checkEnvName(name string) error {
	if name == "" || strings.ContainsAny(name, "=,${}\x00 ") {
		return fmt.Errorf("env: %q is not the name of a variable; write the name alone, and several with spaces between", name)
	}
	if strings.HasPrefix(name, "SNAPGATE_") {
		return fmt.Errorf("env: %s is set by the gateway itself", name)
	}
	return nil
}

// launch says how to start a process for a principal. The digest leaves out the
// SNAPGATE_ variables: they cannot differ between processes of one principal.
func (t launchTemplates) launch(p *oauth.Principal) (bridge.Launch, error) {
	var launch bridge.Launch
	if t.fixed != nil {
		launch.Process = *t.fixed
		launch.Process.Env = slices.Clip(launch.Process.Env) // appended to below
	} else {
		cfg, err := t.expand(p)
		if err != nil {
			return launch, err
		}
		launch = bridge.Launch{Process: cfg, Digest: digest(cfg)}
	}
	if t.userEnv && p != nil {
		launch.Process.Env = append(launch.Process.Env, identity.EnvIssuer+"="+p.Issuer, identity.EnvSubject+"="+p.Subject, identity.EnvUser+"="+p.User)
	}
	return launch, nil
}

// expand fills in the templates for a principal, who is nil if there is none.
func (t launchTemplates) expand(p *oauth.Principal) (process.Config, error) {
	cfg := process.Config{PassEnv: t.passEnv}
	for i, part := range t.command {
		value, err := part.expand(p)
		if err != nil {
			return cfg, err
		}
		if i == 0 {
			cfg.Command = value
		} else {
			cfg.Args = append(cfg.Args, value)
		}
	}
	for _, e := range t.env {
		value, err := e.value.expand(p)
		if err != nil {
			return cfg, fmt.Errorf("env %s: %w", e.name, err)
		}
		cfg.Env = append(cfg.Env, e.name+"="+value)
	}
	var err error
	if cfg.Dir, err = t.dir.expand(p); err != nil {
		return cfg, fmt.Errorf("dir: %w", err)
	}
	return cfg, nil
}

// digest is equal for equal launches.
func digest(cfg process.Config) string {
	h := sha256.New()
	for _, list := range [][]string{{cfg.Command, cfg.Dir}, cfg.Args, cfg.Env, cfg.PassEnv} {
		fmt.Fprintf(h, "%d\n", len(list))
		for _, value := range list {
			fmt.Fprintf(h, "%d:%s\n", len(value), value)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
