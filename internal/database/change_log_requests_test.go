package database_test

import (
	"net/http"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// Frequent operations must not fill the change log: only a change of a user, role or tenant, or the
// end of a session, is recorded.
func TestChangeLog_signInRefreshAndReadsRecordNothing(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ctx := principal.System(t.Context(), "test")
		recorded := func() int { return s.DB.Client.Change.Query().CountX(ctx) }
		access, refresh := s.Login()
		before := recorded()
		for range 3 {
			s.Login()
			s.Expect(http.StatusUnauthorized,
				s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, "a wrong password")))
			refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token")
			for _, path := range []string{apitest.MePath, apitest.MePath + "?include=roles,tenant",
				"/api/v1/users?total=exact", "/api/v1/roles", "/api/v1/auth/sessions"} {
				s.Expect(http.StatusOK, s.Call("GET", path, access, nil))
			}
		}
		if n := recorded() - before; n != 0 {
			t.Errorf("%d changes were recorded", n)
		}
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout", "",
			map[string]string{"refresh_token": refresh}))
		if n := recorded() - before; n != 1 {
			t.Errorf("a sign-out recorded %d changes, want 1", n)
		}
	})
}
