package server

import "runtime/debug"

// version is set by the build: -ldflags "-X tenantry/internal/server.version=v1.2.3".
var version string

// Version returns the version of the program: the build's, else the one that Go has read from the
// repository, else "(devel)".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
