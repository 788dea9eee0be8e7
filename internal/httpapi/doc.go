// Package httpapi takes a request from the socket to its handler, one step a file, and renders
// every error.
//
//	request → (trace →) headers (→ CORS) → request id → recover → tenant context → request log
//	  → validate → authorize → handler → response, or rendered error
//
// gin matches the route before the first step. The contract declares what an operation accepts and
// requires. The package knows tokens and sessions only as functions in its Options.
package httpapi
