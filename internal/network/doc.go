// Package network returns the client network of an address, by which requests without a session are
// counted and queued.
package network
