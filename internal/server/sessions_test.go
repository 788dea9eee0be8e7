package server_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/api"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// sessions lists those of an access token's user.
func (s *instance) sessions(access string) []api.Session {
	s.Helper()
	var list api.Sessions
	if err := json.Unmarshal(s.expect(http.StatusOK, s.call("GET", "/api/v1/auth/sessions", access, nil)).body, &list); err != nil {
		s.Fatal(err)
	}
	return list.Items
}

func TestSessions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		first, firstRefresh := s.login()
		second, _ := s.login()
		registered := s.expect(http.StatusCreated, s.call("POST", "/api/v1/auth/register", "", credentials("ada@acme.test", "fifteen letters")))
		ada := registered.field(t, "access_token")

		listed := s.sessions(second)
		if len(listed) != 2 || !listed[0].Current || listed[1].Current || listed[0].IP != "127.0.0.1" || listed[0].UserAgent == "" {
			t.Fatalf("%+v", listed)
		}
		if idle := listed[0].ExpiresAt.Sub(listed[0].LastUsedAt); idle != 168*time.Hour {
			t.Errorf("it ends %s after its last use", idle)
		}
		s.expect(http.StatusOK, s.refresh(firstRefresh))
		if again := s.sessions(second); again[0].ID != listed[1].ID || !again[0].LastUsedAt.After(listed[1].LastUsedAt) {
			t.Errorf("the one that was refreshed is not the last used: %+v", again)
		}

		// Another user's session, one of nobody and one that is over are all the same.
		end := func(access string, id uuid.UUID) answer {
			t.Helper()
			return s.call("DELETE", "/api/v1/auth/sessions/"+id.String(), access, nil)
		}
		s.expect(http.StatusNotFound, end(ada, listed[1].ID))
		s.expect(http.StatusNotFound, end(second, uuid.New()))
		s.expect(http.StatusBadRequest, s.call("DELETE", "/api/v1/auth/sessions/not-a-uuid", second, nil))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", first, nil))
		s.expect(http.StatusNoContent, end(second, listed[1].ID))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", first, nil))
		s.expect(http.StatusNotFound, end(second, listed[1].ID))
		if n := len(s.sessions(second)); n != 1 {
			t.Errorf("%d sessions are left", n)
		}

		third, thirdRefresh := s.login()
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout-all", third, nil))
		for _, access := range []string{second, third} {
			s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", access, nil))
		}
		s.expect(http.StatusUnauthorized, s.refresh(thirdRefresh))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", ada, nil))
	})
}

func TestSession_is_idle_or_over_to_the_second(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, func(c *config.Config) { c.RefreshTokenTTL = 200 * time.Hour })
		ctx := principal.System(t.Context(), "test")
		_, live := s.login()
		rotated := func(ago time.Duration) {
			s.db.Client.RefreshToken.Update().SetRotatedAt(time.Now().Add(-ago)).ExecX(ctx)
		}
		rotated(168*time.Hour - 10*time.Second)
		live = s.expect(http.StatusOK, s.refresh(live)).field(t, "refresh_token")
		rotated(168*time.Hour + time.Second)
		s.expect(http.StatusUnauthorized, s.refresh(live))
		if n := s.db.Client.RefreshToken.Query().CountX(ctx); n != 1 {
			t.Fatalf("%d rows", n)
		}
		// No refresh moves the end of a session, which is why another server gives one a short life.
		short := start(t, opts, func(c *config.Config) {
			c.RefreshTokenTTL, c.RefreshIdleTTL, c.AccessTokenTTL = 2*time.Second, 2*time.Second, time.Second
		})
		access, live := short.login()
		for deadline := time.Now().Add(30 * time.Second); ; {
			a := short.refresh(live)
			if a.status == http.StatusUnauthorized {
				break
			}
			if live = short.expect(http.StatusOK, a).field(t, "refresh_token"); time.Now().After(deadline) {
				t.Fatal("it goes on")
			}
		}
		short.expect(http.StatusUnauthorized, short.call("GET", "/api/v1/users/me", access, nil))
	})
}

func TestRefresh_of_a_user_who_may_not_act_keeps_the_token(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, func(c *config.Config) { c.RefreshGrace = 0 })
		ctx := principal.System(t.Context(), "test")
		_, refresh := s.login()
		s.db.Client.User.UpdateOne(s.owner()).SetIsActive(false).ExecX(ctx)
		s.expect(http.StatusUnauthorized, s.refresh(refresh))
		s.expect(http.StatusUnauthorized, s.refresh(refresh))
		s.db.Client.User.UpdateOne(s.owner()).SetIsActive(true).ExecX(ctx)
		s.expect(http.StatusOK, s.refresh(refresh))
	})
}
