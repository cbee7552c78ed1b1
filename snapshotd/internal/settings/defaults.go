package settings

import (
	"fmt"
	"path/filepath"
)

// defaultPlace is where the original server's installer put its file. Users' files
// are in a folder of their own beside it.
func defaultPlace(auth Mode, system System) (Place, error) {
	folder, err := DefaultFolder(system)
	if err != nil {
		return Place{}, err
	}
	if auth == TrustedMeta {
		return Place{Base: filepath.Join(folder, "users"), Default: true}, nil
	}
	return Place{File: filepath.Join(folder, "snapshots.db"), Default: true}, nil
}

// DefaultFolder is snapshotd's own folder on the system.
func DefaultFolder(system System) (string, error) {
	if system.OS == "windows" {
		if data := system.Getenv("APPDATA"); data != "" {
			return filepath.Join(data, "claude-snapshots"), nil
		}
	}
	home, err := system.Home()
	if err != nil {
		return "", fmt.Errorf("no home folder to keep the database in (%w): use --db or --data", err)
	}
	switch system.OS {
	case "windows":
		return filepath.Join(home, "AppData", "Roaming", "claude-snapshots"), nil
	case "darwin":
		return filepath.Join(home, ".claude-snapshots"), nil
	default:
		return filepath.Join(home, ".local", "share", "claude-snapshots"), nil
	}
}
