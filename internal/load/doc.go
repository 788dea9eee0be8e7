// Package load sends requests to a running server, as clients would, and measures the responses: in
// a closed loop, in which each client waits for the response, or in an open loop, in which requests
// are sent at a rate without waiting for responses.
//
// It knows the HTTP API, and not the code of the server.
package load
