package auth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

// Postgres itself says what was asked of it: one statement, and no table beyond the projection's.
func TestAuth_check_is_one_statement_in_the_log_of_postgres(t *testing.T) {
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
	}) // a job's
	if len(statements) != 1 || !strings.Contains(statements[0], "JOIN") ||
		!strings.Contains(statements[0], "refresh_tokens") {
		t.Errorf("%d statements: %q", len(statements), statements)
	}
}
