package sessions_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestAuthorize_verifiesTheTokenOnce(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	access, _ := s.Login()
	before := s.Server.Sessions.Verifications()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me?include=roles,tenant", access, nil))
	if n := s.Server.Sessions.Verifications() - before; n != 1 {
		t.Errorf("verified %d times", n)
	}
}

func TestAuthorize_checksUserAndTenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ctx := principal.System(t.Context(), "test")
		owner := s.Owner()
		access, refresh := s.Login()
		check := func(status int) {
			t.Helper()
			s.Expect(status, s.Call("GET", "/api/v1/users/me", access, nil))
			a := s.Expect(status, s.Refresh(refresh))
			if status == http.StatusOK {
				refresh = a.Field(t, "refresh_token")
			}
		}
		check(http.StatusOK)
		s.DB.Client.User.UpdateOne(owner).SetIsActive(false).ExecX(ctx)
		check(http.StatusUnauthorized)
		s.DB.Client.User.UpdateOne(owner).SetIsActive(true).ExecX(ctx)
		s.DB.Client.Tenant.UpdateOneID(owner.TenantID).SetIsActive(false).ExecX(ctx)
		check(http.StatusUnauthorized)
		s.DB.Client.Tenant.UpdateOneID(owner.TenantID).SetIsActive(true).ExecX(ctx)
		check(http.StatusOK)
	})
}

// The log of Postgres has one statement for the authorisation of a request.
func TestAuthorize_isOneStatement(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	s := apitest.Start(t, opts)
	access, _ := s.Login()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil)) // prepares the statement
	statements := dbtest.StatementLog(t, s.DB.SQL, func() {
		s.Forget()
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	})
	statements = slices.DeleteFunc(statements, func(s string) bool {
		return strings.Contains(s, `FROM "signing_keys"`)
	}) // of a background job
	if len(statements) != 1 || !strings.Contains(statements[0], "JOIN") ||
		!strings.Contains(statements[0], "refresh_tokens") {
		t.Errorf("%d statements: %q", len(statements), statements)
	}
}
