package server

// Bootstrap makes the first tenant, for tests that wire a server without running it.
var Bootstrap = bootstrap
