package auth_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tenantry/ent/schema/settings"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestSession_fromSignInToSignOut(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, refresh := s.Login()
		me := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
		if got := me.Field(t, "email"); got != apitest.OwnerEmail {
			t.Errorf("signed in as %q", got)
		}
		if strings.Contains(string(me.Body), "roles") || strings.Contains(string(me.Body), `"tenant"`) {
			t.Errorf("related objects that were not requested: %s", me.Body)
		}
		full := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me?include=roles,tenant", access, nil))
		if !strings.Contains(string(full.Body), `"name":"owner"`) ||
			!strings.Contains(string(full.Body), `"slug":"acme"`) {
			t.Errorf("include is ignored: %s", full.Body)
		}
		changed := s.Expect(http.StatusOK,
			s.Call("PATCH", "/api/v1/users/me", access, map[string]string{"full_name": "Zoe\u0308"}))
		if got := changed.Field(t, "full_name"); got != "Zo\u00eb" {
			t.Errorf("full name %q is not in NFC", got)
		}
		// NFC turns one code point into three.
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/users/me", access,
			map[string]string{"full_name": strings.Repeat("\ufb2c", 200)}))
		next := s.Expect(http.StatusOK, s.Refresh(refresh))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", next.Field(t, "access_token"), nil))
		for range 2 { // also for a revoked token
			s.Expect(http.StatusNoContent,
				s.Call("POST", "/api/v1/auth/logout", "", map[string]string{"refresh_token": refresh}))
		}
		s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/auth/logout", "",
			map[string]string{"refresh_token": "unknown"}))
		s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", access, nil))
		s.Expect(http.StatusUnauthorized, s.Refresh(next.Field(t, "refresh_token")))
	})
}

func TestRegister(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		register := func(email, password string) apitest.Answer {
			t.Helper()
			return s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials(email, password))
		}
		created := s.Expect(http.StatusCreated, register("Ada@Acme.TEST", "fifteen letters"))
		me := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me?include=roles", created.Field(t, "access_token"),
			nil))
		if me.Field(t, "email") != "ada@acme.test" || !strings.Contains(string(me.Body), `"name":"member"`) {
			t.Errorf("registered %s", me.Body)
		}
		s.Expect(http.StatusConflict, register("ada@acme.test", "another password"))
		s.Expect(http.StatusUnprocessableEntity, register("bob@acme.test", "fourteen chars"))
		s.Expect(http.StatusUnprocessableEntity, register("bob@acme.test", strings.Repeat("😀", 14)))
		s.Expect(http.StatusCreated, register("bob@acme.test", strings.Repeat("😀", 15)))
		s.Expect(http.StatusUnprocessableEntity, register("carl@acme.test", strings.Repeat("x", 1025)))
		s.Expect(http.StatusCreated, register("carl@acme.test", strings.Repeat("x", 128)))
		s.Expect(http.StatusUnauthorized,
			s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials("carl@acme.test", strings.Repeat("x", 127))))
		for _, email := range []string{"mi\u212ae@acme.test", "m\u0131ke@acme.test", "mike@acme.test ",
			"Mike <mike@acme.test>", "mike@localhost", "a@b@acme.test", "mike@acme.test\r\nBcc: x@y.z"} {
			if a := register(email, apitest.OwnerPassword); a.Status != http.StatusUnprocessableEntity {
				t.Errorf("%q: %d", email, a.Status)
			}
		}
		for _, member := range []string{"role", "is_superuser", "tenant_id", "id", "password_hash", "Email",
			"email_verified"} {
			body := map[string]any{"email": "eve@acme.test", "password": apitest.OwnerPassword, member: "x"}
			if a := s.Call("POST", "/api/v1/auth/register", "", body); a.Status != http.StatusUnprocessableEntity {
				t.Errorf("member %s: %d", member, a.Status)
			}
		}

		ctx := principal.System(t.Context(), "test")
		s.DB.Client.Tenant.Create().SetSlug("closed").SetName("Closed").SetSettings(settings.Tenant{}).SaveX(ctx)
		for _, slug := range []string{"closed", "unknown"} {
			a := s.Call("POST", "/api/v1/auth/register", "", map[string]string{"tenant": slug, "email": "x@y.test",
				"password": apitest.OwnerPassword})
			s.Expect(http.StatusForbidden, a)
		}
	})
}

// failingSignIns creates accounts that cannot sign in and returns a request of each class that must
// fail like any other (ASVS 6.3.8). It needs the tenant acme with its owner.
func failingSignIns(s *apitest.Instance) map[string]map[string]string {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	owner := s.Owner()
	client := s.DB.Client
	client.User.Create().SetTenantID(owner.TenantID).SetEmail("social@acme.test").SaveX(ctx)
	client.User.Create().SetTenantID(owner.TenantID).SetEmail("inactive@acme.test").SetIsActive(false).
		SetPasswordHash(*owner.PasswordHash).SaveX(ctx)
	suspended := client.Tenant.Create().SetSlug("suspended").SetName("Suspended").SetIsActive(false).SaveX(ctx)
	client.User.Create().SetTenantID(suspended.ID).SetEmail(apitest.OwnerEmail).SetPasswordHash(*owner.PasswordHash).
		SaveX(ctx)
	client.User.Create().SetTenantID(owner.TenantID).SetEmail("damaged@acme.test").
		SetPasswordHash("$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA").SaveX(ctx)
	return map[string]map[string]string{
		"wrong password":    apitest.Credentials(apitest.OwnerEmail, "wrong password"),
		"unknown user":      apitest.Credentials("nobody@acme.test", apitest.OwnerPassword),
		"empty password":    apitest.Credentials(apitest.OwnerEmail, ""),
		"inactive user":     apitest.Credentials("inactive@acme.test", apitest.OwnerPassword),
		"no password":       apitest.Credentials("social@acme.test", apitest.OwnerPassword),
		"damaged hash":      apitest.Credentials("damaged@acme.test", apitest.OwnerPassword),
		"unknown tenant":    {"tenant": "unknown", "email": apitest.OwnerEmail, "password": apitest.OwnerPassword},
		"suspended tenant":  {"tenant": "suspended", "email": apitest.OwnerEmail, "password": apitest.OwnerPassword},
		"malformed address": apitest.Credentials("not an address", apitest.OwnerPassword),
	}
}

// ASVS 6.3.8: the response does not tell the client why a sign-in failed.
func TestSignIn_failuresAreAlike(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		failing := failingSignIns(s)

		alike := func(a apitest.Answer) string {
			a.Header.Del("Date")
			a.Header.Del("X-Request-Id")
			a.Header.Del("Server-Timing")
			var body map[string]any
			if err := json.Unmarshal(a.Body, &body); err != nil {
				t.Fatal(err)
			}
			delete(body, "request_id")
			both, err := json.Marshal([]any{a.Status, a.Header, body})
			if err != nil {
				t.Fatal(err)
			}
			return string(both)
		}
		want := alike(s.Expect(http.StatusUnauthorized,
			s.Call("POST", "/api/v1/auth/login", "", failing["wrong password"])))
		for name, body := range failing {
			if got := alike(s.Call("POST", "/api/v1/auth/login", "", body)); got != want {
				t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
			}
		}
	})
}

func TestPassword_isRehashedAtAHigherCost(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		old := apitest.Start(t, opts, apitest.ProductionHashes)
		before := old.Owner()
		s := apitest.Start(t, opts, apitest.ProductionHashes,
			func(c *config.Config) { c.PasswordHashMemory = 20 << 10 })
		s.Expect(http.StatusUnauthorized,
			s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, "wrong password")))
		if after := s.Owner(); *after.PasswordHash != *before.PasswordHash {
			t.Error("a wrong password was hashed")
		}
		access, _ := s.Login()
		renewed := *s.Owner().PasswordHash
		if !strings.HasPrefix(renewed, "$argon2id$v=19$m=20480,t=2,p=1$") {
			t.Errorf("stored %s", renewed)
		}
		old.Login() // by the old instance, which keeps the higher cost
		if *s.Owner().PasswordHash != renewed {
			t.Error("hashed again")
		}
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	})
}
