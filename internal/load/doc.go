// Package load puts a running server under load, as its clients would, and says how it has
// answered: closed loop, in which each client waits for its answer, or open loop, in which requests
// arrive at a rate whether or not those before are answered.
//
// It knows the API over HTTP and nothing of the server's own code.
package load
