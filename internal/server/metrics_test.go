package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

// figure returns the value of a line of /metrics, -1 if it is not there.
func figure(t *testing.T, operations http.Handler, name string) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	operations.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d, %v", w.Code, err)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(body)
	if found == nil {
		return -1
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestMetrics_count_what_has_happened(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, refresh := s.login()
		s.server.CatchUp()
		for range 3 {
			s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
		}
		s.call("GET", "/api/v1/users/me", "", nil)
		s.call("GET", "/nowhere", "", nil)
		old := refresh
		for range 2 {
			refresh = s.expect(http.StatusOK, s.refresh(refresh)).field(t, "refresh_token")
		}
		s.expect(http.StatusUnauthorized, s.refresh(old))
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
			if got := figure(t, s.server.Operations, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if hits := figure(t, s.server.Operations, `tenantry_cache_hits_total{kind="session",tier="process"}`); hits < 2 {
			t.Errorf("%v hits", hits)
		}
		if open := figure(t, s.server.Operations, `go_sql_open_connections{db_name="tenantry"}`); open < 1 {
			t.Errorf("%v connections", open)
		}
		s.server.Unforeseen(fmt.Errorf("read user: %w", &ent.NotLoadedError{}))
		s.server.Unforeseen(errors.New("pq: broken"))
		for _, kind := range []string{"edge_not_loaded", "other"} {
			if got := figure(t, s.server.Operations, `tenantry_unforeseen_errors_total{kind="`+kind+`"}`); got != 1 {
				t.Errorf("%v unforeseen errors of kind %s", got, kind)
			}
		}
		// Nothing of it is on the listener of clients (H-10).
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
			s.expect(http.StatusNotFound, s.call("GET", path, "", nil))
		}
	})
}

// Operators see what clients are not told.
func TestMetrics_tell_how_sign_ins_and_refreshes_have_ended(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		now := time.Now().UTC() // and stays so: who has to wait a second still has to when a slow machine has hashed
		s := startAt(t, opts, func() time.Time { return now }, func(c *config.Config) { c.SignInAccountAttempts = 2 })
		const path = "/api/v1/auth/login"
		_, refresh := s.login()
		s.expect(http.StatusOK, s.refresh(refresh))
		s.expect(http.StatusOK, s.refresh(refresh))
		s.expect(http.StatusUnauthorized, s.refresh(refresh+"x"))
		s.expect(http.StatusUnauthorized, s.call("POST", path, "", credentials("nobody@acme.test", ownerPassword)))
		s.except = []string{liveOfInactive}
		s.db.Client.User.UpdateOne(s.owner()).SetIsActive(false).ExecX(principal.System(t.Context(), "test"))
		refused := s.expect(http.StatusUnauthorized, s.call("POST", path, "", credentials(ownerEmail, ownerPassword)))
		if strings.Contains(string(refused.body), "may not act") {
			t.Errorf("a client is told why: %s", refused.body)
		}
		s.expect(http.StatusUnauthorized, s.call("POST", path, "", credentials(ownerEmail, "wrong password")))
		s.expect(http.StatusTooManyRequests, s.call("POST", path, "", credentials(ownerEmail, "wrong password")))
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
			if got := figure(t, s.server.Operations, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}

// An alert sees the first increase of a counter only where there was a 0 before.
func TestMetrics_existFromTheStart(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t))
	for _, name := range []string{
		`tenantry_request_statements_total{operation="Login"}`, `tenantry_request_statements_total{operation="none"}`,
		`tenantry_unforeseen_errors_total{kind="edge_not_loaded"}`, `tenantry_unforeseen_errors_total{kind="other"}`,
		`tenantry_expired_rows_removed_total{table="refresh_tokens"}`, `tenantry_expired_rows_removed_total{table="oauth_states"}`,
		`tenantry_expired_rows_removed_total{table="one_time_tokens"}`, `tenantry_refreshes_total{outcome="reuse"}`,
		`tenantry_sign_ins_total{method="password",outcome="throttled"}`, `tenantry_sign_ins_total{method="oauth",outcome="failed"}`,
		`tenantry_password_hash_wait_seconds_count{stage="admission"}`, `tenantry_password_hash_wait_seconds_count{stage="turn"}`,
	} {
		if got := figure(t, s.server.Operations, name); got != 0 {
			t.Errorf("%s is %v before any request", name, got)
		}
	}
	info := fmt.Sprintf(`tenantry_build_info{go_version=%q,version=%q}`, runtime.Version(), server.Version())
	if got := figure(t, s.server.Operations, info); got != 1 {
		t.Errorf("%s is %v", info, got)
	}
}
