// Package cli is the command tree of the program: one file for each command, which parses its flags
// and runs it.
//
// The commands for operators open the database, with or without a running server, and call the
// operations of the features. `serve` calls package server. `load` and `healthcheck` are clients of
// a running server.
//
// A secret is never a flag: it is read from the environment, a file or standard input. The package
// does not know the HTTP handlers. Only the program and tests import it.
package cli
