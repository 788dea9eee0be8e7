// Package apitest starts servers for tests, and calls them as clients, browsers and operators do.
//
// The tests of a feature are external tests of its package. They call the API of an Instance: a
// server with its own database. Every response is checked against the contract. After each test the
// Instance checks the invariants of its rows, and that its log contains no secret. An Issuer is an
// OpenID provider that can misbehave.
//
// A helper belongs here if tests of two packages need it. Shipped packages must not import apitest.
package apitest
