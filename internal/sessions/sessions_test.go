package sessions_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		first, firstRefresh := s.Login()
		second, _ := s.Login()
		registered := s.Expect(http.StatusCreated,
			s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials("ada@acme.test", "fifteen letters")))
		ada := registered.Field(t, "access_token")

		listed := s.Sessions(second)
		if len(listed) != 2 || !listed[0].Current || listed[1].Current || listed[0].IP != "127.0.0.1" ||
			listed[0].UserAgent == "" {
			t.Fatalf("%+v", listed)
		}
		if idle := listed[0].ExpiresAt.Sub(listed[0].LastUsedAt); idle != 168*time.Hour {
			t.Errorf("it expires %s after its last use", idle)
		}
		s.Expect(http.StatusOK, s.Refresh(firstRefresh))
		if again := s.Sessions(second); again[0].ID != listed[1].ID ||
			!again[0].LastUsedAt.After(listed[1].LastUsedAt) {
			t.Errorf("the refreshed session is not the last used one: %+v", again)
		}

		// A session of another user, an unknown one and a revoked one are answered alike.
		end := func(access string, id uuid.UUID) apitest.Answer {
			t.Helper()
			return s.Call("DELETE", "/api/v1/auth/sessions/"+id.String(), access, nil)
		}
		s.Expect(http.StatusNotFound, end(ada, listed[1].ID))
		s.Expect(http.StatusNotFound, end(second, uuid.New()))
		s.Expect(http.StatusBadRequest, s.Call("DELETE", "/api/v1/auth/sessions/not-a-uuid", second, nil))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", first, nil))
		s.Expect(http.StatusNoContent, end(second, listed[1].ID))
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", first, nil))
		s.Expect(http.StatusNotFound, end(second, listed[1].ID))
		if n := len(s.Sessions(second)); n != 1 {
			t.Errorf("%d sessions are left", n)
		}

		third, thirdRefresh := s.Login()
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout-all", third, nil))
		for _, access := range []string{second, third} {
			s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", access, nil))
		}
		s.Expect(http.StatusUnauthorized, s.Refresh(thirdRefresh))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", ada, nil))
	})
}

func TestSession_endsToTheSecond(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) { c.RefreshTokenTTL = 200 * time.Hour })
		ctx := principal.System(t.Context(), "test")
		_, live := s.Login()
		rotated := func(ago time.Duration) {
			s.DB.Client.RefreshToken.Update().SetRotatedAt(time.Now().Add(-ago)).ExecX(ctx)
		}
		rotated(168*time.Hour - 10*time.Second)
		live = s.Expect(http.StatusOK, s.Refresh(live)).Field(t, "refresh_token")
		rotated(168*time.Hour + time.Second)
		s.Expect(http.StatusUnauthorized, s.Refresh(live))
		if n := s.DB.Client.RefreshToken.Query().CountX(ctx); n != 1 {
			t.Fatalf("%d rows", n)
		}
		// A refresh does not extend the lifetime of a session, so an instance with a short lifetime
		// shows its end.
		short := apitest.Start(t, opts, func(c *config.Config) {
			c.RefreshTokenTTL, c.RefreshIdleTTL, c.AccessTokenTTL = 2*time.Second, 2*time.Second, time.Second
		})
		access, live := short.Login()
		for deadline := time.Now().Add(30 * time.Second); ; {
			a := short.Refresh(live)
			if a.Status == http.StatusUnauthorized {
				break
			}
			if live = short.Expect(http.StatusOK, a).Field(t, "refresh_token"); time.Now().After(deadline) {
				t.Fatal("the session does not expire")
			}
		}
		short.Expect(http.StatusUnauthorized, short.Call("GET", "/api/v1/users/me", access, nil))
	})
}

func TestRefresh_ofInactiveUserKeepsTheToken(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) { c.RefreshGrace = 0 })
		ctx := principal.System(t.Context(), "test")
		_, refresh := s.Login()
		s.DB.Client.User.UpdateOne(s.Owner()).SetIsActive(false).ExecX(ctx)
		s.Expect(http.StatusUnauthorized, s.Refresh(refresh))
		s.Expect(http.StatusUnauthorized, s.Refresh(refresh))
		s.DB.Client.User.UpdateOne(s.Owner()).SetIsActive(true).ExecX(ctx)
		s.Expect(http.StatusOK, s.Refresh(refresh))
	})
}
