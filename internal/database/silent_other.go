//go:build !unix

package database

import "syscall"

// silent cannot look here: a connection that was given up is found out by the statement that meets it.
func silent(syscall.RawConn) bool { return true }
