// Package dbtest gives each test a migrated database of its own, SQLite or Postgres.
//
// Postgres comes from TENANTRY_TEST_POSTGRES_URL, else from the server programs on the machine, started once per test
// binary; each test gets a clone of a migrated template. Where there is none, the Postgres half says so and is skipped,
// and with CI=true it fails.
package dbtest
