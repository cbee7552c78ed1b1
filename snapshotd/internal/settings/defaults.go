package settings

import (
	"fmt"
	"path/filepath"
)

// defaultPlace is where the original server's installer put its file. Users' files
// are in a folder of their own beside it.
func (s *Settings) defaultPlace(system System) error {
	folder, err := defaultFolder(system)
	if err != nil {
		return err
	}
	s.Default = true
	if s.Auth == TrustedMeta {
		s.Base = filepath.Join(folder, "users")
	} else {
		s.File = filepath.Join(folder, "snapshots.db")
	}
	return nil
}

func defaultFolder(system System) (string, error) {
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
