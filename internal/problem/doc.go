// Package problem defines the errors that a client may read: problem details for HTTP APIs (RFC
// 9457) with a stable code. Every other error is private and rendered as a 500 without detail.
package problem
