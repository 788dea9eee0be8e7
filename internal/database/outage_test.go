package database_test

import (
	"fmt"
	"net/http"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A full disk is an outage for writes only, and needs no restart once it has space again.
func TestSQLite_fullDiskRefusesWrites(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	access, refresh := s.Login()
	ctx := principal.System(t.Context(), "test")
	pages := func(limit int) {
		t.Helper()
		if _, err := s.DB.Client.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", limit)); err != nil {
			t.Fatal(err)
		}
	}
	register := func(i int) apitest.Answer {
		return s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials(fmt.Sprintf("user%d@acme.test", i),
			apitest.OwnerPassword))
	}
	pages(1)    // SQLite raises it to the current number of pages
	stored := 1 // the owner
	a := register(stored)
	for ; a.Status == http.StatusCreated && stored < 200; a = register(stored) {
		stored++
	}
	if s.Expect(http.StatusServiceUnavailable, a).Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %s", a.Body)
	}
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	if n := s.DB.Client.User.Query().CountX(ctx); n != stored {
		t.Errorf("%d users, %d were acknowledged", n, stored)
	}
	pages(1 << 20)
	s.Expect(http.StatusCreated, register(stored))
	s.Expect(http.StatusOK, s.Refresh(refresh))
}

// ASVS 16.5.2: a request that waits for a connection for half a second gets 503 with Retry-After.
func TestPool_fullPoolAnswers503(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	opts.PoolSize, opts.MaxOverflow = 2, 0
	s := apitest.Start(t, opts)
	access, _ := s.Login()
	ctx := principal.System(t.Context(), "test")
	held, err := s.DB.Client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.DB.Client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Expect(http.StatusServiceUnavailable,
		s.Call("GET", "/api/v1/users/me", access, nil)); a.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %s", a.Body)
	}
	s.Expect(http.StatusOK, s.Call("GET", "/healthz", "", nil))
	for _, tx := range []interface{ Rollback() error }{held, other} {
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
}
