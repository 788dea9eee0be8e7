// Package server builds the server from its parts and runs it: configuration, database, features,
// router and listener, until its context is done.
package server
