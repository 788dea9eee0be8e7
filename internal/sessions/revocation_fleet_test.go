package sessions_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent/tenant"
	"tenantry/internal/apitest"
	"tenantry/internal/cache/cachetest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// revocations are the ways to revoke a right of a user, with the path of a request that needs the
// right, and its status afterwards.
var revocations = []struct {
	name, path string
	status     int
	revoke     func(s *apitest.Instance, root string, of apitest.Account)
}{
	{"deactivation", "/api/v1/users/me", http.StatusUnauthorized,
		func(s *apitest.Instance, root string, of apitest.Account) {
			s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/users/"+of.ID.String()+"?tenant=other", root,
				map[string]any{"is_active": false}))
		}},
	{"role", "/api/v1/users", http.StatusForbidden, func(s *apitest.Instance, root string, of apitest.Account) {
		s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/users/"+of.ID.String()+"/roles/"+
			s.SystemRole(of, "admin")+"?tenant=other", root, nil))
	}},
	{"suspension", "/api/v1/users/me", http.StatusUnauthorized,
		func(s *apitest.Instance, root string, of apitest.Account) {
			s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/tenants/"+of.TenantID.String()+"/suspend", root,
				nil))
		}},
	{"sign_out", "/api/v1/users/me", http.StatusUnauthorized, func(s *apitest.Instance, _ string, of apitest.Account) {
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout", "",
			map[string]string{"refresh_token": of.Refresh}))
	}},
	{"sign_out_everywhere", "/api/v1/users/me", http.StatusUnauthorized,
		func(s *apitest.Instance, _ string, of apitest.Account) {
			s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout-all", of.Access, nil))
		}},
	{"password", "/api/v1/users/me", http.StatusUnauthorized, func(s *apitest.Instance, _ string, of apitest.Account) {
		other := s.SignIn("other", of.User)
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/password", other.Access,
			map[string]string{"current_password": apitest.OwnerPassword,
				"new_password": "another horse battery staple"}))
	}},
	{"deletion", "/api/v1/users/me", http.StatusUnauthorized,
		func(s *apitest.Instance, root string, of apitest.Account) {
			s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/users/"+of.ID.String()+"?tenant=other", root, nil))
		}},
}

// A revocation on one instance takes effect on the others within a second, although they have
// cached the session: while they read the change log, while their connection to it is cut, and
// while it hangs; with concurrent requests.
func TestRevocation_takesEffectOnOtherInstancesWithinASecond(t *testing.T) {
	t.Parallel()
	for _, outage := range []struct {
		name  string
		start func(*dbtest.Proxy) (end func())
	}{
		{"none", func(*dbtest.Proxy) func() { return func() {} }},
		{"cut", func(p *dbtest.Proxy) func() { p.Cut(); return p.Restore }},
		{"hanging", (*dbtest.Proxy).Stall},
	} {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			testRevocations(t, outage.start, func(*config.Config) {})
		})
		t.Run(outage.name+"_with_redis", func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("makes the change log fail for the Redis tier")
			}
			redis := cachetest.Start(t)
			testRevocations(t, outage.start, func(c *config.Config) { c.RedisURL = redis.URL })
		})
	}
	t.Run("redis_paused", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("makes Redis fail")
		}
		redis := cachetest.Start(t)
		testRevocations(t, func(*dbtest.Proxy) func() { return redis.Pause() },
			func(c *config.Config) { c.RedisURL = redis.URL })
	})
}

// testRevocations makes each revocation on one of three instances during an outage. One of the two
// others reads the change log through the proxy.
func testRevocations(t *testing.T, startOutage func(*dbtest.Proxy) (end func()), change func(*config.Config)) {
	t.Helper()
	opts := dbtest.Postgres(t)
	proxy, proxied := dbtest.ThroughProxyOf(t, opts, database.ChangeLogName)
	revoking := apitest.Start(t, opts, change)
	others := []*apitest.Instance{apitest.Start(t, opts, change), apitest.Start(t, proxied, change)}
	revoking.CreateTenant("other")
	revoking.CreateUser("other", "owner@other.test", "owner")
	root, _ := revoking.Login()
	for _, r := range revocations {
		revoking.DB.Client.Tenant.Update().Where(tenant.Slug("other")).SetIsActive(true).
			ExecX(principal.System(t.Context(), "test"))
		of := revoking.CreateUser("other", strings.ReplaceAll(r.name, "_", "-")+"@other.test", "admin")
		for _, s := range others {
			s.CatchUp()
			s.Expect(http.StatusOK, s.Call("GET", r.path, of.Access, nil))
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", of.Access, nil))
			if n := s.Call("GET", "/api/v1/users/me", of.Access, nil).Statements(t); n != "0" {
				t.Errorf("%s: the session is not cached", r.name)
			}
		}
		stopClients := startClients(others, r.path, of.Access)
		endOutage := startOutage(proxy)
		r.revoke(revoking, root, of)
		revoked := time.Now()
		for i, s := range others {
			for s.Call("GET", r.path, of.Access, nil).Status != r.status {
				if time.Since(revoked) > 5*time.Second {
					t.Fatalf("%s: no effect on instance %d", r.name, i)
				}
			}
			if took := time.Since(revoked); took > time.Second {
				t.Errorf("%s: took effect on instance %d after %s", r.name, i, took)
			}
		}
		for range 50 { // no concurrent request makes the session valid again
			for _, s := range others {
				s.Expect(r.status, s.Call("GET", r.path, of.Access, nil))
			}
		}
		stopClients()
		endOutage()
	}
}

// startClients has four clients of each instance send requests until stop is called. They pause
// between requests, because they compete with the test for the processor.
func startClients(instances []*apitest.Instance, path, access string) (stop func()) {
	stopped := make(chan struct{})
	var clients sync.WaitGroup
	for _, s := range instances {
		for range 4 {
			clients.Go(func() {
				pause := time.NewTicker(10 * time.Millisecond)
				defer pause.Stop()
				for {
					select {
					case <-stopped:
						return
					case <-pause.C:
						s.Call("GET", path, access, nil)
					}
				}
			})
		}
	}
	return func() { close(stopped); clients.Wait() }
}

// A write of another program to the SQLite file revokes sessions too.
func TestRevocation_byAnotherProgramOnSQLite(t *testing.T) {
	t.Parallel()
	opts := dbtest.SQLite(t)
	s := apitest.Start(t, opts)
	s.Except = []string{apitest.LiveSessionOfInactive}
	access, _ := s.Login()
	s.CatchUp()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	if n := s.Call("GET", "/api/v1/users/me", access, nil).Statements(t); n != "0" {
		t.Error("the session is not cached")
	}
	other := dbtest.Open(t, database.Options{DataDir: opts.DataDir})
	other.Client.User.Update().SetIsActive(false).ExecX(principal.System(t.Context(), "test"))
	changed := time.Now()
	for s.Call("GET", "/api/v1/users/me", access, nil).Status != http.StatusUnauthorized {
		if time.Since(changed) > time.Second {
			t.Fatal("the session is accepted after a second")
		}
	}
}
