// Package database opens a database from a DSN, returns its ent client and migrates its schema.
//
// It owns the pools, prepared statements, the count of statements per request, transactions, the
// change log and migrations. It knows both dialects, and nothing of tenants, users or HTTP.
//
//	operation → ent → driver → pool → statements → SQLite, or Postgres through lib/pq
package database
