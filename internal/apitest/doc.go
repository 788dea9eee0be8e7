// Package apitest starts servers for tests, and calls them as clients, browsers and operators do.
//
// A feature's tests live in the feature's package as external tests and call the API of an
// Instance: a server with a database of the test's own. After each test an Instance checks the
// invariants of its rows and that its log has no secret. Each answer is checked against the
// contract. An Issuer is an OpenID provider that a test can make misbehave.
//
// A helper belongs here if tests of two packages need it. No package that is shipped may import
// this one.
package apitest
