//go:build !linux

package password

// yieldThread does nothing: only Linux has a priority per thread.
func yieldThread() {}
