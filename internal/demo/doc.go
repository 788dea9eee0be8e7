// Package demo fills a database with generated tenants of realistic sizes: a few large and many
// small ones. Tests of query plans, benchmarks and evaluators use it.
//
// It inserts rows without the ent client, so that it must itself satisfy the rules of the schemas;
// its tests check that.
package demo
