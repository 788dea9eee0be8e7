package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/server"
)

// process is server.Run, as the command runs it.
type process struct {
	url  string
	out  *apitest.LogBuffer
	log  *apitest.LogBuffer
	stop func() error
	// ended receives what Run returns, unless stop is called.
	ended <-chan error
}

// run starts a server and waits until it serves.
func run(t *testing.T, cfg config.Config) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &process{out: &apitest.LogBuffer{}, log: &apitest.LogBuffer{}}
	done := make(chan error, 1)
	p.ended = done
	go func() { done <- server.Run(ctx, cfg, p.out, slog.New(slog.NewJSONHandler(p.log, nil))) }()
	p.stop = func() error { cancel(); return <-done }
	serving := regexp.MustCompile(`"address":"([^"]+)"`)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if found := serving.FindStringSubmatch(p.log.String()); found != nil {
			p.url = "http://" + found[1]
			return p
		}
		select {
		case err := <-done:
			t.Fatalf("run: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatal("it does not serve")
	return nil
}

// fresh returns a configuration in which only the database is set.
func fresh(opts database.Options) config.Config {
	cfg := apitest.Config(opts)
	cfg.Listen, cfg.BootstrapEmail, cfg.BootstrapPassword = "127.0.0.1:0", "", ""
	if opts.URL == "" {
		cfg.Secret = ""
	}
	return cfg
}

func TestFirstStart_printsCredentialsOnce(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(testing.TB) database.Options{
		"sqlite": dbtest.EmptySQLite, "postgres": dbtest.EmptyPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fresh(empty(t))
			cfg.Migrate = true
			p := run(t, cfg)
			printed := regexp.MustCompile(`-d '(.*)'`).FindStringSubmatch(p.out.String())
			if printed == nil {
				t.Fatalf("no line to paste in %q", p.out.String())
			}
			response, err := http.Post(p.url+"/api/v1/auth/login", "application/json", strings.NewReader(printed[1]))
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("the printed line does not sign in: %v, %v", response, err)
			}
			response.Body.Close()
			var body map[string]string
			if err := json.Unmarshal([]byte(printed[1]), &body); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(p.log.String(), body["password"]) {
				t.Error("the password is in the log")
			}
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			again := run(t, cfg)
			if again.out.String() != "" {
				t.Errorf("the second start prints %q", again.out.String())
			}
			if err := again.stop(); err != nil {
				t.Fatal(err)
			}
			if cfg.DatabaseURL != "" {
				return
			}
			for _, file := range []string{"secret", database.SQLiteFile} {
				if info, err := os.Stat(filepath.Join(cfg.DataDir, file)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", file, info, err)
				}
			}
		})
	}
}

// On a new server clients cannot register. The printed command opens registration.
func TestFirstStart_printedCommandOpensRegistration(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(testing.TB) database.Options{
		"sqlite": dbtest.EmptySQLite, "postgres": dbtest.EmptyPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fresh(empty(t))
			cfg.Migrate = true
			p := run(t, cfg)
			send := func(method, path, token, body string) (status int, answer map[string]any) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", token)
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
					t.Fatal(err)
				}
				return response.StatusCode, answer
			}
			register := func() int {
				status, _ := send("POST", "/api/v1/auth/register", "", `{"email":"ada@acme.test","password":"`+
					apitest.OwnerPassword+`"}`)
				return status
			}
			if status := register(); status != http.StatusForbidden {
				t.Fatalf("a stranger registers: %d", status)
			}
			printed := p.out.String()
			login := regexp.MustCompile(`/api/v1/auth/login .* -d '(.*)'`).FindStringSubmatch(printed)
			open := regexp.MustCompile(`curl -sS -X (PATCH) \S+(/api/v1/tenant) ` +
				`-H "(Authorization): (Bearer) \$ACCESS_TOKEN" .* -d '(.*)'`).FindStringSubmatch(printed)
			if login == nil || open == nil {
				t.Fatalf("no lines to paste in %q", printed)
			}
			_, tokens := send("POST", "/api/v1/auth/login", "", login[1])
			if status, answer := send(open[1], open[2], open[4]+" "+fmt.Sprint(tokens["access_token"]),
				open[5]); status != http.StatusOK {
				t.Fatalf("the printed line does not open registration: %d %v", status, answer)
			}
			if status := register(); status != http.StatusCreated {
				t.Errorf("registration stays closed: %d", status)
			}
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// brokenWriter is a closed terminal.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestFirstStart_failedOutputCreatesNoOwner(t *testing.T) {
	t.Parallel()
	cfg := fresh(dbtest.EmptySQLite(t))
	if err := server.Run(t.Context(), cfg, brokenWriter{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("it serves")
	}
	p := run(t, cfg)
	if !strings.Contains(p.out.String(), "shown this once") {
		t.Error("the owner was created without printing the password")
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestRun_refusesInvalidSetup(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, cfg config.Config, want string) {
		t.Helper()
		var out bytes.Buffer
		err := server.Run(t.Context(), cfg, &out, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%v, having printed %q", err, out.String())
		}
	}
	t.Run("a_Postgres_that_is_not_migrated", func(t *testing.T) {
		t.Parallel()
		refused(t, fresh(dbtest.EmptyPostgres(t)), "tenantry migrate up")
	})
	t.Run("another_secret_than_the_keys_were_sealed_under", func(t *testing.T) {
		t.Parallel()
		dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
			cfg := fresh(opts)
			cfg.Secret = apitest.Secret
			if err := run(t, cfg).stop(); err != nil {
				t.Fatal(err)
			}
			cfg.Secret = "another secret that is long enough too"
			refused(t, cfg, "another TENANTRY_SECRET")
		})
	})
	// Otherwise the one chance to read the password would be lost.
	t.Run("an_address_that_is_taken_before_it_makes_an_owner", func(t *testing.T) {
		t.Parallel()
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		cfg := fresh(dbtest.EmptySQLite(t))
		cfg.Listen = taken.Addr().String()
		refused(t, cfg, "listen on")
		cfg.Listen = "127.0.0.1:0"
		p := run(t, cfg)
		if !strings.Contains(p.out.String(), "shown this once") {
			t.Error("the owner was created without printing the password")
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a_first_owner_with_a_short_password", func(t *testing.T) {
		t.Parallel()
		cfg := fresh(dbtest.EmptySQLite(t))
		cfg.BootstrapEmail, cfg.BootstrapPassword = apitest.OwnerEmail, "short"
		refused(t, cfg, "at least 15 characters")
	})
}

// A running request is answered after the signal to stop, and /readyz answers 503 meanwhile.
func TestRun_drainsOnSignal(t *testing.T) {
	t.Parallel()
	p := run(t, fresh(dbtest.EmptySQLite(t)))
	body, feed := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/api/v1/auth/logout", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answered := make(chan int, 1)
	go func() {
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		response.Body.Close()
		answered <- response.StatusCode
	}()
	if _, err := feed.Write([]byte(`{"refresh_token":`)); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }()
	for status := http.StatusOK; status != http.StatusServiceUnavailable; {
		response, err := http.Get(p.url + "/readyz")
		if err != nil {
			t.Fatalf("the listener closed before readiness said so: %v", err)
		}
		response.Body.Close()
		status = response.StatusCode
	}
	if _, err := feed.Write([]byte(`"x"}`)); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	if status := <-answered; status != http.StatusNoContent {
		t.Errorf("the request under way: %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
