//go:build !linux

package password

// yieldThread does nothing where a thread has no priority of its own.
func yieldThread() {}
