package sessions_test

import (
	"net/http"
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

// revocations are what takes a right from somebody, as who has it, and the status that the answer
// has afterwards.
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

// A session that is revoked on one instance is refused by the others within a second, although they
// have cached it: while they read the change log, while the connection to it is cut at that moment,
// and while it hangs; with requests under way that began before.
func TestRevocation_is_effective_on_other_instances_within_a_second(t *testing.T) {
	t.Parallel()
	testRevocations(t, func(*config.Config) {}, nil)
}

// The same for instances that share what they remember, also while that is out of reach.
func TestRevocation_is_effective_on_instances_that_share_within_a_second(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	testRevocations(t, func(c *config.Config) { c.RedisURL = redis.URL }, redis.Pause)
}

func testRevocations(t *testing.T, change func(*config.Config), pause func() (resume func())) {
	t.Helper()
	opts := dbtest.Postgres(t)
	proxy, disturbed := dbtest.ThroughProxyOf(t, opts, database.ChangeLogName)
	acting, others := apitest.Start(t, opts, change), []*apitest.Instance{apitest.Start(t, opts, change),
		apitest.Start(t, disturbed, change)}
	acting.CreateTenant("other")
	acting.CreateUser("other", "owner@other.test", "owner")
	root, _ := acting.Login()
	n := 0
	for _, disturbance := range []struct {
		name string
		make func() (end func())
	}{
		{"none", func() func() { return func() {} }},
		{"cut", func() func() { proxy.Cut(); return proxy.Restore }},
		{"hanging", func() func() { return proxy.Stall() }},
		{"redis_paused", pause},
	} {
		if disturbance.make == nil {
			continue
		}
		for _, r := range revocations {
			n++
			acting.DB.Client.Tenant.Update().Where(tenant.Slug("other")).SetIsActive(true).
				ExecX(principal.System(t.Context(), "test"))
			of := acting.CreateUser("other", "user"+string(rune('a'+n))+"@other.test", "admin")
			for _, s := range others {
				s.CatchUp()
				s.Expect(http.StatusOK, s.Call("GET", r.path, of.Access, nil))
				s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", of.Access, nil))
				if n := s.Call("GET", "/api/v1/users/me", of.Access, nil).Statements(t); n != "0" {
					t.Errorf("%s, %s: nothing is remembered", disturbance.name, r.name)
				}
			}
			var load sync.WaitGroup
			stop := make(chan struct{})
			for _, s := range others {
				for range 4 {
					load.Go(func() {
						for {
							select {
							case <-stop:
								return
							default:
								s.Call("GET", r.path, of.Access, nil)
							}
						}
					})
				}
			}
			end := disturbance.make()
			r.revoke(acting, root, of)
			revoked := time.Now()
			for i, s := range others {
				for s.Call("GET", r.path, of.Access, nil).Status != r.status {
					if time.Since(revoked) > 5*time.Second {
						t.Fatalf("%s, %s: instance %d does not hear of it", disturbance.name, r.name, i)
					}
				}
				if took := time.Since(revoked); took > time.Second {
					t.Errorf("%s, %s: instance %d after %s", disturbance.name, r.name, i, took)
				}
			}
			for range 50 { // and it stays so
				for _, s := range others {
					s.Expect(r.status, s.Call("GET", r.path, of.Access, nil))
				}
			}
			close(stop)
			load.Wait()
			end()
		}
	}
}

// What another program writes to the file of SQLite is heard of as well.
func TestRevocation_by_another_program_on_SQLite(t *testing.T) {
	t.Parallel()
	opts := dbtest.SQLite(t)
	s := apitest.Start(t, opts)
	s.Except = []string{apitest.LiveSessionOfInactive}
	access, _ := s.Login()
	s.CatchUp()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	if n := s.Call("GET", "/api/v1/users/me", access, nil).Statements(t); n != "0" {
		t.Error("nothing is remembered")
	}
	other := dbtest.Open(t, database.Options{DataDir: opts.DataDir})
	other.Client.User.Update().SetIsActive(false).ExecX(principal.System(t.Context(), "test"))
	changed := time.Now()
	for s.Call("GET", "/api/v1/users/me", access, nil).Status != http.StatusUnauthorized {
		if time.Since(changed) > time.Second {
			t.Fatal("not within a second")
		}
	}
}
