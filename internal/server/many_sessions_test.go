package server_test

import (
	"net/http"
	"testing"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// A session that a sign-in has ended because of the limit is refused by the same instance at once,
// and by another instance once its cache has caught up.
func TestSession_beyond_the_limit_is_refused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		limit := func(c *config.Config) { c.SessionsPerUser = 2 }
		s := start(t, opts, limit)
		instances := []*instance{s}
		if opts.URL != "" {
			instances = append(instances, start(t, opts, limit))
		}
		first, second := s.signIn("acme", s.owner()), s.signIn("acme", s.owner())
		for _, i := range instances {
			i.server.CatchUp()
			i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", first.access, nil))
		}
		s.expect(http.StatusOK, s.refresh(first.refresh)) // so that the second was refreshed longest ago
		for _, i := range instances {
			i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", second.access, nil))
		}
		third := s.signIn("acme", s.owner())
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", second.access, nil))
		for _, i := range instances {
			i.server.CatchUp()
			i.expect(http.StatusUnauthorized, i.call("GET", "/api/v1/users/me", second.access, nil))
			i.expect(http.StatusUnauthorized, i.refresh(second.refresh))
			i.expect(http.StatusOK, i.call("GET", "/api/v1/users/me", first.access, nil))
		}
		if listed := s.sessions(third.access); len(listed) != 2 {
			t.Errorf("listed %v", listed)
		}
	})
}
