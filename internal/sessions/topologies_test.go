package sessions_test

import (
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// topology is a way from three instances to one database.
type topology struct {
	name string
	// through returns the options of one instance. With unprepared it does without prepared
	// statements.
	through    func(testing.TB, database.Options) database.Options
	unprepared bool
}

var topologies = []topology{
	{"direct", func(_ testing.TB, opts database.Options) database.Options { return opts }, false},
	{"pgbouncer_session", func(t testing.TB, opts database.Options) database.Options {
		return dbtest.ThroughPgBouncer(t, opts, "pool_mode = session",
			"ignore_startup_parameters = statement_timeout").Options
	}, false},
	{"pgbouncer_transaction", func(t testing.TB, opts database.Options) database.Options {
		return dbtest.ThroughPgBouncer(t, opts, "pool_mode = transaction").Options
	}, true},
	// The defaults of the product, behind a pooler that hands each transaction another connection.
	{"mapping_pooler", func(t testing.TB, opts database.Options) database.Options {
		return dbtest.ThroughMappingPooler(t, opts, 4)
	}, false},
}

// fleet starts instances that reach one database by a topology.
func (of topology) fleet(t testing.TB, opts database.Options, instances int) (all []*apitest.Instance) {
	t.Helper()
	through := of.through(t, opts)
	through.Prepared = !of.unprepared
	for range instances {
		all = append(all, apitest.Start(t, through, func(c *config.Config) {
			c.DBPrepared = !of.unprepared
			c.SignInAccountAttempts, c.SignInAddressAttempts = 1_000_000, 1_000_000
		}))
	}
	return all
}

// signOut signs a user in and out on the first instance, after the others have cached the session,
// and returns how long the slowest of them has accepted the access token.
func signOut(t testing.TB, all []*apitest.Instance) (slowest time.Duration) {
	t.Helper()
	access, refresh := all[0].Login()
	for range 3 {
		for _, s := range all[1:] {
			s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, access, nil))
		}
	}
	all[0].Expect(http.StatusNoContent, all[0].Call("POST", "/api/v1/auth/logout", "",
		map[string]string{"refresh_token": refresh}))
	revoked := time.Now()
	var polls sync.WaitGroup
	took := make([]time.Duration, len(all))
	for i, s := range all {
		polls.Go(func() {
			for {
				began := time.Now()
				if s.Call("GET", apitest.MePath, access, nil).Status == http.StatusUnauthorized ||
					began.Sub(revoked) > 10*time.Second {
					return
				}
				took[i] = time.Since(revoked)
				time.Sleep(time.Millisecond)
			}
		})
	}
	polls.Wait()
	return slices.Max(took)
}

// With LISTEN an instance behind a pooler received no notification: it accepted sessions for
// minutes after a sign-out on another instance.
func TestRevocation_throughAnyPoolerWithinASecond(t *testing.T) {
	t.Parallel()
	for _, of := range topologies {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			all := of.fleet(t, dbtest.Postgres(t), 2)
			for range 5 {
				if took := signOut(t, all); took > time.Second {
					t.Errorf("accepted for %s after the sign-out", took)
				}
			}
			access, _ := all[0].Login()
			for _, s := range all {
				s.CatchUp()
				s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, access, nil))
				if n := s.Call("GET", apitest.MePath, access, nil).Statements(t); n != "0" {
					t.Errorf("%s statements for a cached session", n)
				}
			}
		})
	}
}

// TENANTRY_NOTIFY_URL could name another database, from which no notification came. It is ignored
// now.
func TestRevocation_notifyURLOfAnotherDatabaseIsIgnored(t *testing.T) {
	t.Parallel()
	opts, other := dbtest.Postgres(t), dbtest.Postgres(t)
	notify := func(c *config.Config) { c.NotifyURL = other.URL }
	if took := signOut(t, []*apitest.Instance{apitest.Start(t, opts, notify),
		apitest.Start(t, opts, notify)}); took > time.Second {
		t.Errorf("accepted for %s after the sign-out", took)
	}
}

// After a failover to a synchronous standby, revoked sessions stay revoked, other sessions stay
// valid, and revocation works.
func TestRevocation_acrossAFailover(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills a server")
	}
	primary := dbtest.OwnCluster(t)
	dbtest.MigrateUp(t, primary.Options)
	standby := dbtest.Standby(t, primary)
	opts := dbtest.Both(primary, standby)
	all := []*apitest.Instance{apitest.Start(t, opts), apitest.Start(t, opts)}
	kept, _ := all[0].Login()
	ended, refresh := all[0].Login()
	for _, s := range all {
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, kept, nil))
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, ended, nil))
	}
	all[0].Expect(http.StatusNoContent, all[0].Call("POST", "/api/v1/auth/logout", "",
		map[string]string{"refresh_token": refresh}))
	primary.Stop(syscall.SIGKILL)
	killed := time.Now()
	standby.Promote()
	for _, s := range all {
		for {
			if status := s.Call("GET", apitest.MePath, ended, nil).Status; status == http.StatusUnauthorized {
				break
			} else if status == http.StatusOK && time.Since(killed) > time.Second {
				t.Fatal("a session that was signed out is accepted after the failover")
			}
			if time.Since(killed) > time.Minute {
				t.Fatal("no instance recovers")
			}
			time.Sleep(5 * time.Millisecond)
		}
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, kept, nil))
	}
	t.Logf("every instance answers %s after the primary was killed", time.Since(killed).Round(time.Millisecond))
	if took := signOut(t, all); took > time.Second {
		t.Errorf("accepted for %s after a sign-out on the new primary", took)
	}
}
