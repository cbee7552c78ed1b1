package install

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

// Client is an MCP client that keeps its servers in a file.
type Client struct {
	Name  string // as --client takes it
	Title string
	// servers is the member of the file's object that holds the servers.
	servers string
	// typed says that an entry names its transport.
	typed bool
	// folder is where the client keeps its settings, which is there if the client is.
	folder func(settings.System) (string, error)
	// file is the configuration.
	file func(settings.System) (string, error)
}

const claudeFile = "claude_desktop_config.json"

// clients are those that snapshotd knows. Sources of the places:
//
//   - Claude Desktop: modelcontextprotocol.io, "Connect to local MCP servers"; for Linux,
//     where the client is built by others, the same under XDG_CONFIG_HOME; for packages of
//     Windows, claudeFolder
//   - Claude Code: code.claude.com, "MCP installation scopes": user scope
//   - Cursor: cursor.com/docs/mcp, the global configuration
//   - VS Code: code.visualstudio.com, "MCP configuration reference", of the default profile
var clients = []Client{
	{
		Name: "claude-desktop", Title: "Claude Desktop", servers: "mcpServers",
		folder: claudeFolder,
		file: func(s settings.System) (string, error) {
			folder, err := claudeFolder(s)
			return filepath.Join(folder, claudeFile), err
		},
	},
	{
		Name: "claude-code", Title: "Claude Code", servers: "mcpServers", typed: true,
		folder: func(s settings.System) (string, error) {
			if folder := s.Getenv("CLAUDE_CONFIG_DIR"); folder != "" {
				return folder, nil
			}
			return homeFolder(s, ".claude")
		},
		file: func(s settings.System) (string, error) {
			if folder := s.Getenv("CLAUDE_CONFIG_DIR"); folder != "" {
				return filepath.Join(folder, ".claude.json"), nil
			}
			return homeFolder(s, ".claude.json")
		},
	},
	{
		Name: "cursor", Title: "Cursor", servers: "mcpServers",
		folder: func(s settings.System) (string, error) { return homeFolder(s, ".cursor") },
		file:   func(s settings.System) (string, error) { return homeFolder(s, ".cursor", "mcp.json") },
	},
	{
		Name: "vscode", Title: "VS Code", servers: "servers", typed: true,
		folder: func(s settings.System) (string, error) { return applicationFolder(s, "Code", "User") },
		file:   func(s settings.System) (string, error) { return applicationFolder(s, "Code", "User", "mcp.json") },
	},
}

// Names are the names of all clients.
func Names() []string {
	var names []string
	for _, c := range clients {
		names = append(names, c.Name)
	}
	return names
}

// Choose returns the clients of these names, or, without names, those that are found on
// the system.
func Choose(names []string, system settings.System) ([]Client, error) {
	var chosen []Client
	for _, name := range names {
		i := slices.IndexFunc(clients, func(c Client) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no client %q: it must be one of %s", name, strings.Join(Names(), ", "))
		}
		if !slices.ContainsFunc(chosen, func(c Client) bool { return c.Name == name }) {
			chosen = append(chosen, clients[i])
		}
	}
	if len(names) > 0 {
		return chosen, nil
	}
	for _, c := range clients {
		found, err := c.found(system)
		if err != nil {
			return nil, err
		}
		if found {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

func (c Client) found(system settings.System) (bool, error) {
	for _, place := range []func(settings.System) (string, error){c.folder, c.file} {
		path, err := place(system)
		if err != nil {
			return false, err
		}
		if _, err := os.Stat(path); err == nil {
			return true, nil
		}
	}
	return false, nil
}

func homeFolder(s settings.System, below ...string) (string, error) {
	home, err := s.Home()
	if err != nil {
		return "", fmt.Errorf("no home folder to look for clients in: %w", err)
	}
	return filepath.Join(append([]string{home}, below...)...), nil
}

// claudeFolder is where Claude Desktop keeps settings. What Windows installs as a package
// (MSIX), as the installers do since 2026, reads a folder of its own in the place of
// %APPDATA%, and nothing that others write there (github.com/anthropics/claude-code,
// issues 25579 and 26073).
func claudeFolder(s settings.System) (string, error) {
	if s.OS != "windows" {
		return applicationFolder(s, "Claude")
	}
	local := s.Getenv("LOCALAPPDATA")
	if local == "" {
		var err error
		if local, err = homeFolder(s, "AppData", "Local"); err != nil {
			return "", err
		}
	}
	packages := filepath.Join(local, "Packages")
	entries, _ := os.ReadDir(packages) // there may be none
	packaged := ""
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "Claude_") { // and the key of the publisher
			continue
		}
		folder := filepath.Join(packages, entry.Name(), "LocalCache", "Roaming", "Claude")
		if _, err := os.Stat(filepath.Join(folder, claudeFile)); err == nil {
			return folder, nil
		}
		if _, err := os.Stat(folder); err == nil && packaged == "" {
			packaged = folder
		}
	}
	if packaged != "" {
		return packaged, nil
	}
	return applicationFolder(s, "Claude")
}

// applicationFolder is where programs keep settings on the system.
func applicationFolder(s settings.System, below ...string) (string, error) {
	switch s.OS {
	case "windows":
		if folder := s.Getenv("APPDATA"); folder != "" {
			return filepath.Join(append([]string{folder}, below...)...), nil
		}
		return homeFolder(s, append([]string{"AppData", "Roaming"}, below...)...)
	case "darwin":
		return homeFolder(s, append([]string{"Library", "Application Support"}, below...)...)
	}
	if folder := s.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(folder) {
		return filepath.Join(append([]string{folder}, below...)...), nil
	}
	return homeFolder(s, append([]string{".config"}, below...)...)
}
