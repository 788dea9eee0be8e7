package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"tenantry/ent"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

func TestMetrics_countRequestsAndOutcomes(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, refresh := s.Login()
		s.CatchUp()
		for range 3 {
			s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
		}
		s.Call("GET", "/api/v1/users/me", "", nil)
		s.Call("GET", "/nowhere", "", nil)
		old := refresh
		for range 2 {
			refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token")
		}
		s.Expect(http.StatusUnauthorized, s.Refresh(old))
		for name, want := range map[string]float64{
			`tenantry_request_duration_seconds_count{operation="GetMe",status="200"}`:   3,
			`tenantry_request_duration_seconds_count{operation="GetMe",status="401"}`:   1,
			`tenantry_request_duration_seconds_count{operation="Login",status="200"}`:   1,
			`tenantry_request_duration_seconds_count{operation="none",status="404"}`:    1,
			`tenantry_request_duration_seconds_count{operation="Refresh",status="401"}`: 1,
			`tenantry_request_statements_total{operation="Login"}`:                      4,
			`tenantry_refreshes_total{outcome="rotated"}`:                               2,
			`tenantry_refreshes_total{outcome="reuse"}`:                                 1,
			`tenantry_refreshes_total{outcome="failed"}`:                                0,
			`tenantry_sign_ins_total{method="oauth",outcome="ok"}`:                      0,
			`tenantry_sign_ins_total{method="password",outcome="ok"}`:                   1,
			`tenantry_password_hash_wait_seconds_count{stage="admission"}`:              1,
			`tenantry_access_tokens_verified_total`:                                     1,
			`tenantry_password_hashes_running`:                                          0,
		} {
			if got := apitest.Metric(t, s.Server.Operations, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if hits := apitest.Metric(t, s.Server.Operations,
			`tenantry_cache_hits_total{kind="session",tier="process"}`); hits < 2 {
			t.Errorf("%v hits", hits)
		}
		if open := apitest.Metric(t, s.Server.Operations, `go_sql_open_connections{db_name="tenantry"}`); open < 1 {
			t.Errorf("%v connections", open)
		}
		s.Server.Unforeseen(fmt.Errorf("read user: %w", &ent.NotLoadedError{}))
		s.Server.Unforeseen(errors.New("pq: broken"))
		for _, kind := range []string{"edge_not_loaded", "other"} {
			if got := apitest.Metric(t, s.Server.Operations, `tenantry_unforeseen_errors_total{kind="`+kind+
				`"}`); got != 1 {
				t.Errorf("%v unforeseen errors of kind %s", got, kind)
			}
		}
		// The listener of clients does not serve them (H-10).
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
			s.Expect(http.StatusNotFound, s.Call("GET", path, "", nil))
		}
	})
}

// Metrics distinguish outcomes that clients cannot distinguish.
func TestMetrics_countSignInsAndRefreshesByOutcome(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		// The clock stands still: on a slow machine, hashing may take longer than the wait.
		s := apitest.StartAt(t, opts, apitest.NewClock().Now, func(c *config.Config) { c.SignInAccountAttempts = 2 })
		const path = "/api/v1/auth/login"
		_, refresh := s.Login()
		s.Expect(http.StatusOK, s.Refresh(refresh))
		s.Expect(http.StatusOK, s.Refresh(refresh))
		s.Expect(http.StatusUnauthorized, s.Refresh(refresh+"x"))
		s.Expect(http.StatusUnauthorized,
			s.Call("POST", path, "", apitest.Credentials("nobody@acme.test", apitest.OwnerPassword)))
		s.Except = []string{apitest.LiveSessionOfInactive}
		s.DB.Client.User.UpdateOne(s.Owner()).SetIsActive(false).ExecX(principal.System(t.Context(), "test"))
		refused := s.Expect(http.StatusUnauthorized,
			s.Call("POST", path, "", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
		if strings.Contains(string(refused.Body), "may not act") {
			t.Errorf("the response names the reason: %s", refused.Body)
		}
		s.Expect(http.StatusUnauthorized,
			s.Call("POST", path, "", apitest.Credentials(apitest.OwnerEmail, "wrong password")))
		s.Expect(http.StatusTooManyRequests,
			s.Call("POST", path, "", apitest.Credentials(apitest.OwnerEmail, "wrong password")))
		for name, want := range map[string]float64{
			`tenantry_sign_ins_total{method="password",outcome="ok"}`:                1,
			`tenantry_sign_ins_total{method="password",outcome="wrong_credentials"}`: 2,
			`tenantry_sign_ins_total{method="password",outcome="disabled"}`:          1,
			`tenantry_sign_ins_total{method="password",outcome="throttled"}`:         1,
			`tenantry_sign_ins_total{method="password",outcome="busy"}`:              0,
			`tenantry_sign_ins_total{method="password",outcome="failed"}`:            0,
			`tenantry_refreshes_total{outcome="rotated"}`:                            1,
			`tenantry_refreshes_total{outcome="grace"}`:                              1,
			`tenantry_refreshes_total{outcome="refused"}`:                            1,
		} {
			if got := apitest.Metric(t, s.Server.Operations, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}

// Prometheus sees a first increase only if the series has a 0 before it.
func TestMetrics_existFromTheStart(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	for _, name := range []string{
		`tenantry_request_statements_total{operation="Login"}`, `tenantry_request_statements_total{operation="none"}`,
		`tenantry_unforeseen_errors_total{kind="edge_not_loaded"}`, `tenantry_unforeseen_errors_total{kind="other"}`,
		`tenantry_expired_rows_removed_total{table="refresh_tokens"}`,
		`tenantry_expired_rows_removed_total{table="oauth_states"}`,
		`tenantry_expired_rows_removed_total{table="one_time_tokens"}`, `tenantry_refreshes_total{outcome="reuse"}`,
		`tenantry_sign_ins_total{method="password",outcome="throttled"}`,
		`tenantry_sign_ins_total{method="oauth",outcome="failed"}`,
		`tenantry_password_hash_wait_seconds_count{stage="admission"}`,
		`tenantry_password_hash_wait_seconds_count{stage="turn"}`,
	} {
		if got := apitest.Metric(t, s.Server.Operations, name); got != 0 {
			t.Errorf("%s is %v before any request", name, got)
		}
	}
	info := fmt.Sprintf(`tenantry_build_info{go_version=%q,version=%q}`, runtime.Version(), server.Version())
	if got := apitest.Metric(t, s.Server.Operations, info); got != 1 {
		t.Errorf("%s is %v", info, got)
	}
}
