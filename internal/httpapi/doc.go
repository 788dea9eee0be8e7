// Package httpapi is the way of a request from the socket to the handler, one step a file, and the one renderer of errors.
//
//	(trace →) headers (→ CORS) → request id → recover → tenant context → request log → limits
//	  → route → validate → authorize → handler → answer, or render
//
// What an operation accepts and demands is read from the contract. The package knows tokens and sessions only as functions
// that it is given.
package httpapi
