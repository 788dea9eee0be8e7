package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
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
			`tenantry_refresh_reuses_total`:                                             1,
			`tenantry_access_tokens_verified_total`:                                     1,
			`tenantry_password_hashes_running`:                                          0,
		} {
			if got := figure(t, s.server.Operations, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if hits := figure(t, s.server.Operations, `tenantry_cache_hits_total{kind="session"}`); hits < 2 {
			t.Errorf("%v hits", hits)
		}
		if open := figure(t, s.server.Operations, `go_sql_open_connections{db_name="tenantry"}`); open < 1 {
			t.Errorf("%v connections", open)
		}
		// Nothing of it is on the listener of clients (H-10).
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
			s.expect(http.StatusNotFound, s.call("GET", path, "", nil))
		}
	})
}
