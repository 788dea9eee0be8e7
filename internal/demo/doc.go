// Package demo fills a database with made-up tenants of realistic sizes: a few are large and most
// are small. Tests of plans, benchmarks and evaluators use it.
//
// It writes rows past the ent client, so it must itself keep what the schemas demand; its tests
// hold it to that.
package demo
