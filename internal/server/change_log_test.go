package server_test

import (
	"net/http"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// What a service does all day fills no log: only what changes or ends a session, a user, a role or
// a tenant is recorded.
func TestChangeLog_signInRefreshAndReadsRecordNothing(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		ctx := principal.System(t.Context(), "test")
		recorded := func() int { return s.db.Client.Change.Query().CountX(ctx) }
		access, refresh := s.login()
		before := recorded()
		for range 3 {
			s.login()
			s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, "a wrong password")))
			refresh = s.expect(http.StatusOK, s.refresh(refresh)).field(t, "refresh_token")
			for _, path := range []string{mePath, mePath + "?include=roles,tenant", "/api/v1/users?total=exact", "/api/v1/roles", "/api/v1/auth/sessions"} {
				s.expect(http.StatusOK, s.call("GET", path, access, nil))
			}
		}
		if n := recorded() - before; n != 0 {
			t.Errorf("%d changes were recorded", n)
		}
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout", "", map[string]string{"refresh_token": refresh}))
		if n := recorded() - before; n != 1 {
			t.Errorf("a sign-out recorded %d changes, want 1", n)
		}
	})
}
