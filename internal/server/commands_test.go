package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/server"
)

// An operator manages tenants and users on the database itself, and gets back in.
func TestOperator_manages_tenants_and_users(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		var out bytes.Buffer
		c := server.Commands{Config: testConfig(opts), Out: &out, Log: slog.New(slog.DiscardHandler)}
		ctx := t.Context()
		printed := func(err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Reset()
			return out.String()
		}
		refused := func(err error, reason string) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("answered %v, want %s", err, reason)
			}
		}
		login := func(slug, email, password string) answer {
			return s.call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": slug, "email": email, "password": password})
		}

		beta := server.NewTenant{Slug: "beta", Owner: "owner@beta.test"}
		if got := printed(c.TenantCreate(ctx, beta, strings.NewReader(ownerPassword))); !strings.Contains(got, "created tenant beta") || strings.Contains(got, ownerPassword) {
			t.Errorf("created: %s", got)
		}
		refused(c.TenantCreate(ctx, beta, nil), "slug")
		refused(c.TenantCreate(ctx, server.NewTenant{Slug: "www", Owner: "owner@beta.test"}, nil), "reserved")
		refused(c.TenantCreate(ctx, server.NewTenant{Slug: "Not a slug", Owner: "owner@beta.test"}, nil), "slug")
		lines := strings.Split(strings.TrimSpace(printed(c.TenantList(ctx, true))), "\n")
		var newest struct {
			Slug   string
			Active bool
		}
		if err := json.Unmarshal([]byte(lines[0]), &newest); err != nil || newest.Slug != "beta" || !newest.Active || len(lines) != 2 {
			t.Errorf("listed %v, %v", lines, err)
		}

		signedIn := s.expect(http.StatusOK, login("beta", "owner@beta.test", ownerPassword))
		printed(c.TenantSetActive(ctx, "beta", false))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", signedIn.field(t, "access_token"), nil))
		printed(c.TenantSetActive(ctx, "beta", true))
		refused(c.TenantSetActive(ctx, "gamma", true), "no tenant")

		refused(c.UserDisable(ctx, "beta", "owner@beta.test"), "owner")
		refused(c.UserDisable(ctx, "beta", ownerEmail), "no user")
		printed(c.UserCreate(ctx, server.NewUser{Tenant: "beta", Email: "ada@beta.test", Role: "admin"}, strings.NewReader(ownerPassword)))
		ada := s.expect(http.StatusOK, login("beta", "ada@beta.test", ownerPassword))
		printed(c.UserDisable(ctx, "beta", "Ada@Beta.test"))
		s.expect(http.StatusUnauthorized, s.refresh(ada.field(t, "refresh_token")))
		if got := printed(c.UserList(ctx, "beta", false)); !strings.Contains(got, "ADA") && !strings.Contains(got, "ada@beta.test") {
			t.Errorf("listed %s", got)
		}

		refused(c.UserSetPassword(ctx, "beta", "owner@beta.test", strings.NewReader("short")), "at least 15")
		got := printed(c.UserSetPassword(ctx, "beta", "owner@beta.test", nil))
		_, password, _ := strings.Cut(strings.TrimSpace(got), "shown this once: ")
		s.expect(http.StatusUnauthorized, s.refresh(signedIn.field(t, "refresh_token")))
		s.expect(http.StatusUnauthorized, login("beta", "owner@beta.test", ownerPassword))
		s.expect(http.StatusOK, login("beta", "owner@beta.test", password))

		if got := printed(c.RoleList(ctx, "beta", true)); strings.Count(got, "\n") != 3 || !strings.Contains(got, `"name":"owner"`) {
			t.Errorf("roles: %s", got)
		}
	})
}

func TestDemo_needs_an_operator_and_an_acceptable_password(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		var out bytes.Buffer
		c := server.Commands{Config: testConfig(opts), Out: &out, Log: slog.New(slog.DiscardHandler)}
		data := server.DemoData{Tenants: 2, Users: 5}
		if err := c.Demo(t.Context(), data, nil, os.Stderr); err == nil || !strings.Contains(err.Error(), "start the server once") {
			t.Errorf("on an empty database: %v", err)
		}
		s := start(t, opts)
		for _, weak := range []string{"", "short"} {
			if err := c.Demo(t.Context(), data, strings.NewReader(weak), os.Stderr); err == nil || !strings.Contains(err.Error(), "at least 15") {
				t.Errorf("with the password %q: %v", weak, err)
			}
		}
		if err := c.Demo(t.Context(), data, strings.NewReader(ownerPassword+"\n"), os.Stderr); err != nil || !strings.Contains(out.String(), "made 2 tenants, 5 users") {
			t.Fatalf("%v, %s", err, out.String())
		}
		a := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/login", "", map[string]string{"tenant": "demo-1", "email": "owner@demo-1.example", "password": ownerPassword}))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users?role=owner", a.field(t, "access_token"), nil))
	})
}
