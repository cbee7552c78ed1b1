// Package npm installs programs from npm, for tests and benchmarks.
package npm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Servers are servers that nobody changed, in versions that are known to work, so that a
// new release of theirs cannot fail a test of ours.
var Servers = []string{"@modelcontextprotocol/server-memory@2026.8.31", "@modelcontextprotocol/server-everything@2026.8.31"}

// Remedy says what to do about an error of [Folder].
const Remedy = "install Node 20 or later with npm, and let \"npm install\" reach its registry once; what comes without a program for this machine also needs g++, make and Python"

// folders are the folders of sets of packages that were asked for in this run.
var folders sync.Map

// Folder installs packages into the user's cache folder, once, and returns where. Their
// programs are in node_modules/.bin.
func Folder(packages []string) (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("there is no %s", program)
		}
	}
	once, _ := folders.LoadOrStore(strings.Join(packages, " "), sync.OnceValues(func() (string, error) { return install(packages) }))
	folder, err := once.(func() (string, error))()
	if err != nil {
		return "", fmt.Errorf("%s could not be installed: %w", strings.Join(packages, ", "), err)
	}
	return folder, nil
}

func install(packages []string) (folder string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer("@modelcontextprotocol/", "", "@", "-").Replace(strings.Join(packages, "_"))
	folder = filepath.Join(cache, "snapgate-test", name)
	if exists(folder) {
		return folder, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	// Made aside and renamed, so that a folder of that name is a whole one.
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := allowScripts(fresh, packages); err != nil {
		return "", err
	}
	// Long enough to compile what comes without a program for this machine.
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "npm", append([]string{"install", "--prefix", fresh, "--no-audit", "--no-fund"}, packages...)...)
	command.Env = append(os.Environ(), headers()...)
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install: %w: %s", err, text)
	}
	if err := os.Rename(fresh, folder); err != nil && !exists(folder) {
		return "", err // and not another run that was faster
	}
	return folder, nil
}

// allowScripts lets the packages do what they do when they are installed, such as compile
// themselves. Since npm 11 a package may not unless it is named.
func allowScripts(folder string, packages []string) error {
	named := make(map[string]bool)
	for _, name := range packages {
		if at := strings.LastIndexByte(name, '@'); at > 0 { // not that of a scope
			name = name[:at]
		}
		named[name] = true
	}
	text, err := json.Marshal(map[string]any{"private": true, "allowScripts": named})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "package.json"), text, 0o644)
}

// headers tells npm where Node's own header files are, if they came with it, so that a
// package that compiles itself need not fetch them.
func headers() []string {
	node, err := exec.LookPath("node")
	if err == nil {
		node, err = filepath.EvalSymlinks(node)
	}
	prefix := filepath.Dir(filepath.Dir(node))
	if err != nil || !exists(filepath.Join(prefix, "include", "node", "node.h")) {
		return nil
	}
	return []string{"npm_config_nodedir=" + prefix}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
