package main

import "runtime/debug"

// release is set by the linker in released binaries: -X main.release=v1.2.3
var release string

// version is the release, or what the go command knows of how this was built.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
