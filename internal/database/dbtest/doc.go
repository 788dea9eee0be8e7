// Package dbtest gives each test a migrated database of its own, SQLite or Postgres.
//
// The Postgres server is that of TENANTRY_TEST_POSTGRES_URL, or one that is started per test binary
// with the programs in the folder TENANTRY_TEST_POSTGRES_BIN or those of the machine. Each test
// gets a clone of a migrated template. Without a server the Postgres half of the tests is skipped
// with a message; with CI=true it fails.
package dbtest
