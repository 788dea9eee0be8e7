package server

import "runtime/debug"

// version is set by the build: -ldflags "-X tenantry/internal/server.version=v1.2.3".
var version string

// Version returns the version of this program: that of the build, else the one that Go has found in
// the repository, which is "(devel)" where there is none.
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
