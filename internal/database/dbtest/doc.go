// Package dbtest gives each test a migrated database of its own, SQLite or Postgres.
//
// Postgres comes from TENANTRY_TEST_POSTGRES_URL, else from the server programs, started once per
// test binary: those in the folder TENANTRY_TEST_POSTGRES_BIN, else those on the machine. Each test
// gets a clone of a migrated template. Where there is no server, the Postgres half says so and is
// skipped, and with CI=true it fails.
package dbtest
