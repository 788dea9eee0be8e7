// Package faults tests the program as processes that serve HTTP, while databases and clients fail
// and signals arrive. Tests that need only one package are in that package.
//
// By default each test runs a few rounds, for every commit. With -long it runs enough rounds to be
// conclusive:
//
//	task faults
package faults
