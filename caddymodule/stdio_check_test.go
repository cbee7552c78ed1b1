package caddymodule

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestSelfCheckTellsWhatWouldFailAtTheFirstCall holds that each mistake is told with what is right.
func TestSelfCheckTellsWhatWouldFailAtTheFirstCall(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "server.sh")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MCP_TEST_SET", "")
	for name, tc := range map[string]struct {
		server *Stdio
		want   []string // none: nothing is told
	}{
		"all is well":          {&Stdio{Command: []string{self, "--flag", "a>b"}, Dir: filepath.Dir(plain), PassEnv: []string{"MCP_TEST_SET"}}, nil},
		"no such command":      {&Stdio{Command: []string{"snapgate-no-such-server"}}, []string{"executable file not found", "install it, or write its absolute path"}},
		"a file for no one":    {&Stdio{Command: []string{plain}}, []string{"permission denied", "chmod +x"}},
		"all in quotes":        {&Stdio{Command: []string{"npx -y server"}}, []string{"as separate words"}},
		"the home of a shell":  {&Stdio{Command: []string{"~/bin/server"}}, []string{"{env.HOME}"}},
		"a variable before it": {&Stdio{Command: []string{"KEY=1", "server"}}, []string{"such as \\\"env NAME value\\\""}},
		"a pipe":               {&Stdio{Command: []string{self, "|", "tee", "~/log"}}, []string{"no shell is involved", "[| ~/log]"}},
		"no such folder":       {&Stdio{Command: []string{self}, Dir: "/no/such/folder"}, []string{"the working folder is not there"}},
		"a file for a folder":  {&Stdio{Command: []string{self}, Dir: plain}, []string{"the working folder is not there"}},
		"a variable not set":   {&Stdio{Command: []string{self}, PassEnv: []string{"MCP_TEST_SET", "MCP_TEST_NOT_SET"}}, []string{"pass_env", "[MCP_TEST_NOT_SET]"}},
	} {
		t.Run(name, func(t *testing.T) {
			var told bytes.Buffer
			s := tc.server
			s.log = slog.New(slog.NewTextHandler(&told, nil))
			if s.templates, err = s.tryOut(caddy.NewReplacer()); err != nil {
				t.Fatal(err)
			}
			s.selfCheck()
			if len(tc.want) == 0 && told.Len() > 0 {
				t.Errorf("it tells %s", told.String())
			}
			for _, want := range tc.want {
				if !strings.Contains(told.String(), want) {
					t.Errorf("it tells %s\nwant %s", told.String(), want)
				}
			}
		})
	}
}
