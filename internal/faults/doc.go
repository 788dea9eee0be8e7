// Package faults holds the tests of the real program, as processes that talk HTTP, while databases,
// clients and signals misbehave. What one package can show by itself is tested there.
//
// By default each test runs a few rounds, for every commit; with -long it runs as many as it takes
// to trust the answer:
//
//	task faults
package faults
