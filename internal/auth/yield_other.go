//go:build !linux

package auth

// yieldThread does nothing where a thread has no priority of its own.
func yieldThread() {}
