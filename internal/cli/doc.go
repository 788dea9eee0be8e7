// Package cli is the command tree of the program: one file for each command, which parses its flags
// and does its work.
//
// A command of an operator works on the database itself, beside or without a running server, and
// calls the operations of the features. `serve` calls package server. `load` and `healthcheck` are
// clients of a running server.
//
// A secret is never a flag: it comes from the environment, from a file or from standard input. The
// package knows nothing of HTTP handlers, and no other package imports it, except the program and
// tests.
package cli
