package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A disk that is full is an outage for who writes, and for nobody else; it needs no restart to get over it.
func TestSQLite_that_is_full_refuses_writes(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t))
	access, refresh := s.login()
	ctx := principal.System(t.Context(), "test")
	pages := func(limit int) {
		t.Helper()
		if _, err := s.db.Client.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", limit)); err != nil {
			t.Fatal(err)
		}
	}
	register := func(i int) answer {
		return s.call("POST", "/api/v1/auth/register", "", credentials(fmt.Sprintf("user%d@acme.test", i), ownerPassword))
	}
	pages(1)    // SQLite takes the number that there are
	stored := 1 // the owner
	a := register(stored)
	for ; a.status == http.StatusCreated && stored < 200; a = register(stored) {
		stored++
	}
	if s.expect(http.StatusServiceUnavailable, a).header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %s", a.body)
	}
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
	if n := s.db.Client.User.Query().CountX(ctx); n != stored {
		t.Errorf("%d users, %d were acknowledged", n, stored)
	}
	pages(1 << 20)
	s.expect(http.StatusCreated, register(stored))
	s.expect(http.StatusOK, s.refresh(refresh))
}

// ASVS 16.5.2: who would wait longer for a connection than half a second is told to come again.
func TestPostgres_pool_that_is_full_is_an_outage(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	opts.PoolSize, opts.MaxOverflow = 2, 0
	s := start(t, opts)
	access, _ := s.login()
	ctx := principal.System(t.Context(), "test")
	held, err := s.db.Client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.db.Client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.expect(http.StatusServiceUnavailable, s.call("GET", "/api/v1/users/me", access, nil)); a.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %s", a.body)
	}
	s.expect(http.StatusOK, s.call("GET", "/healthz", "", nil))
	for _, tx := range []interface{ Rollback() error }{held, other} {
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
}
