// Package problem holds the errors that a client may read: problem details for HTTP APIs (RFC 9457)
// with a stable code. Every other error is private and reaches a client as a bare 500.
package problem
