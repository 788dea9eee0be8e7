package server

// What the tests of the commands and of the first start call directly.
var (
	Bootstrap = bootstrap
	Secret    = secret
)
