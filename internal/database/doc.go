// Package database turns a DSN into an ent client and keeps its schema.
//
// It owns the pools, prepared statements, the count of statements per request, transactions and
// migrations. It knows both dialects and nothing of tenants, users or HTTP.
//
//	operation → ent → driver → pool → statements → SQLite, or Postgres through lib/pq
package database
