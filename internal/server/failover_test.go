package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

func TestReadiness_readOnlyDatabaseIs503(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	cfg := fresh(c.Options)
	cfg.Migrate = true
	p := run(t, cfg)
	status := func() int {
		t.Helper()
		response, err := http.Get(p.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	become := func(want int) {
		t.Helper()
		got := status()
		for deadline := time.Now().Add(10 * time.Second); got != want && time.Now().Before(deadline); got = status() {
			time.Sleep(10 * time.Millisecond)
		}
		if got != want {
			t.Errorf("readiness %d, want %d", got, want)
		}
	}
	become(http.StatusOK)
	c.Exec("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
	become(http.StatusServiceUnavailable)
	c.Exec("ALTER SYSTEM SET default_transaction_read_only = off", "SELECT pg_reload_conf()")
	become(http.StatusOK)
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// signIn tries to sign a user in that does not exist.
func signIn(p *process) (*http.Response, error) {
	body := strings.NewReader(`{"email":"a@acme.test","password":"` + apitest.OwnerPassword + `"}`)
	return http.Post(p.url+"/api/v1/auth/login", "application/json", body)
}

// A password that was changed on the database is no fault of the request.
func TestRequest_databaseRefusingCredentialsIs503(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	c.Exec("CREATE ROLE app LOGIN SUPERUSER")
	opts := c.Options
	opts.URL = strings.Replace(opts.URL, "postgres@", "app@", 1)
	cfg := fresh(opts)
	cfg.Migrate = true
	p := run(t, cfg)
	c.Exec("ALTER ROLE app NOLOGIN",
		"SELECT pg_terminate_backend(pid, 4000) FROM pg_stat_activity WHERE usename = 'app'")
	response, err := signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
	c.Exec("ALTER ROLE app LOGIN")
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestRun_stopsWhenPoolerMixesStatements(t *testing.T) {
	t.Parallel()
	const ignore = "ignore_startup_parameters = statement_timeout"
	pooler := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), "pool_mode = session", ignore)
	p := run(t, fresh(pooler.Options))
	pooler.Reload("pool_mode = transaction", ignore)
	for begun := time.Now(); time.Since(begun) < 30*time.Second; {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				response, err := signIn(p)
				if err == nil {
					response.Body.Close()
					if response.StatusCode == http.StatusInternalServerError {
						t.Error("a request was answered with 500")
					}
				}
			})
		}
		wait.Wait()
		select {
		case err := <-p.ended:
			if err == nil || !strings.Contains(err.Error(), "TENANTRY_DB_PREPARED=false") {
				t.Errorf("stopped with %v", err)
			}
			return
		default:
		}
	}
	t.Fatal("the server still serves")
}
