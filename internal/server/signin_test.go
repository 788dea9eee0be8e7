package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tenantry/ent/schema/settings"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestSign_in_to_sign_out(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, refresh := s.login()
		me := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
		if got := me.field(t, "email"); got != ownerEmail {
			t.Errorf("signed in as %q", got)
		}
		if strings.Contains(string(me.body), "roles") || strings.Contains(string(me.body), `"tenant"`) {
			t.Errorf("related objects that nobody asked for: %s", me.body)
		}
		full := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me?include=roles,tenant", access, nil))
		if !strings.Contains(string(full.body), `"name":"owner"`) || !strings.Contains(string(full.body), `"slug":"acme"`) {
			t.Errorf("include was not heard: %s", full.body)
		}
		changed := s.expect(http.StatusOK, s.call("PATCH", "/api/v1/users/me", access, map[string]string{"full_name": "Zoe\u0308"}))
		if got := changed.field(t, "full_name"); got != "Zo\u00eb" {
			t.Errorf("full name %q is not in NFC", got)
		}
		// NFC makes three code points of one.
		s.expect(http.StatusOK, s.call("PATCH", "/api/v1/users/me", access, map[string]string{"full_name": strings.Repeat("\ufb2c", 200)}))
		next := s.expect(http.StatusOK, s.refresh(refresh))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", next.field(t, "access_token"), nil))
		for range 2 { // also for a token that is dead already
			s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout", "", map[string]string{"refresh_token": refresh}))
		}
		s.expect(http.StatusNoContent, s.call("POST", "/api/v1/auth/logout", "", map[string]string{"refresh_token": "unknown"}))
		s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", access, nil))
		s.expect(http.StatusUnauthorized, s.refresh(next.field(t, "refresh_token")))
	})
}

func TestRegister(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		register := func(email, password string) answer {
			t.Helper()
			return s.call("POST", "/api/v1/auth/register", "", credentials(email, password))
		}
		created := s.expect(http.StatusCreated, register("Ada@Acme.TEST", "fifteen letters"))
		me := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me?include=roles", created.field(t, "access_token"), nil))
		if me.field(t, "email") != "ada@acme.test" || !strings.Contains(string(me.body), `"name":"member"`) {
			t.Errorf("registered %s", me.body)
		}
		s.expect(http.StatusConflict, register("ada@acme.test", "another password"))
		s.expect(http.StatusUnprocessableEntity, register("bob@acme.test", "fourteen chars"))
		s.expect(http.StatusUnprocessableEntity, register("bob@acme.test", strings.Repeat("😀", 14)))
		s.expect(http.StatusCreated, register("bob@acme.test", strings.Repeat("😀", 15)))
		s.expect(http.StatusUnprocessableEntity, register("carl@acme.test", strings.Repeat("x", 1025)))
		s.expect(http.StatusCreated, register("carl@acme.test", strings.Repeat("x", 128)))
		s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", credentials("carl@acme.test", strings.Repeat("x", 127))))
		for _, email := range []string{"mi\u212ae@acme.test", "m\u0131ke@acme.test", "mike@acme.test ", "Mike <mike@acme.test>", "mike@localhost", "a@b@acme.test", "mike@acme.test\r\nBcc: x@y.z"} {
			if a := register(email, ownerPassword); a.status != http.StatusUnprocessableEntity {
				t.Errorf("%q: %d", email, a.status)
			}
		}
		for _, member := range []string{"role", "is_superuser", "tenant_id", "id", "password_hash", "Email", "email_verified"} {
			body := map[string]any{"email": "eve@acme.test", "password": ownerPassword, member: "x"}
			if a := s.call("POST", "/api/v1/auth/register", "", body); a.status != http.StatusUnprocessableEntity {
				t.Errorf("member %s: %d", member, a.status)
			}
		}

		ctx := principal.System(t.Context(), "test")
		s.db.Client.Tenant.Create().SetSlug("closed").SetName("Closed").SetSettings(settings.Tenant{}).SaveX(ctx)
		for _, slug := range []string{"closed", "unknown"} {
			a := s.call("POST", "/api/v1/auth/register", "", map[string]string{"tenant": slug, "email": "x@y.test", "password": ownerPassword})
			s.expect(http.StatusForbidden, a)
		}
	})
}

// failingSignIns makes accounts that cannot sign in and returns a request of each class that must fail like any other
// (ASVS 6.3.8). It needs the tenant acme with its owner.
func (s *instance) failingSignIns() map[string]map[string]string {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	owner := s.owner()
	client := s.db.Client
	client.User.Create().SetTenantID(owner.TenantID).SetEmail("social@acme.test").SaveX(ctx)
	client.User.Create().SetTenantID(owner.TenantID).SetEmail("inactive@acme.test").SetIsActive(false).
		SetPasswordHash(*owner.PasswordHash).SaveX(ctx)
	suspended := client.Tenant.Create().SetSlug("suspended").SetName("Suspended").SetIsActive(false).SaveX(ctx)
	client.User.Create().SetTenantID(suspended.ID).SetEmail(ownerEmail).SetPasswordHash(*owner.PasswordHash).SaveX(ctx)
	client.User.Create().SetTenantID(owner.TenantID).SetEmail("damaged@acme.test").SetPasswordHash("$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA").SaveX(ctx)
	return map[string]map[string]string{
		"wrong password":    credentials(ownerEmail, "wrong password"),
		"unknown user":      credentials("nobody@acme.test", ownerPassword),
		"empty password":    credentials(ownerEmail, ""),
		"inactive user":     credentials("inactive@acme.test", ownerPassword),
		"no password":       credentials("social@acme.test", ownerPassword),
		"damaged hash":      credentials("damaged@acme.test", ownerPassword),
		"unknown tenant":    {"tenant": "unknown", "email": ownerEmail, "password": ownerPassword},
		"suspended tenant":  {"tenant": "suspended", "email": ownerEmail, "password": ownerPassword},
		"malformed address": credentials("not an address", ownerPassword),
	}
}

// ASVS 6.3.8: whatever was wrong, the client cannot tell.
func TestFailed_sign_ins_are_alike(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		failing := s.failingSignIns()

		alike := func(a answer) string {
			a.header.Del("Date")
			a.header.Del("X-Request-Id")
			a.header.Del("Server-Timing")
			var body map[string]any
			if err := json.Unmarshal(a.body, &body); err != nil {
				t.Fatal(err)
			}
			delete(body, "request_id")
			both, err := json.Marshal([]any{a.status, a.header, body})
			if err != nil {
				t.Fatal(err)
			}
			return string(both)
		}
		want := alike(s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", failing["wrong password"])))
		for name, body := range failing {
			if got := alike(s.call("POST", "/api/v1/auth/login", "", body)); got != want {
				t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
			}
		}
	})
}

func TestAccess_token_is_verified_by_another_library(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := start(t, dbtest.SQLite(t), func(c *config.Config) { c.JWTAlgorithm = alg })
			access, _ := s.login()
			jwks := s.expect(http.StatusOK, s.call("GET", "/.well-known/jwks.json", "", nil))
			var keys jose.JSONWebKeySet
			if err := json.Unmarshal(jwks.body, &keys); err != nil {
				t.Fatal(err)
			}
			token, err := jwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			if err := token.Claims(keys.Key(token.Headers[0].KeyID)[0], &claims); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"iss", "aud", "sub", "exp", "iat", "jti", "client_id", "sid", "tid", "roles"} {
				if claims[name] == nil {
					t.Errorf("no claim %s", name)
				}
				delete(claims, name)
			}
			if len(claims) > 0 {
				t.Errorf("more claims than needed: %v", claims)
			}
			if typ := token.Headers[0].ExtraHeaders["typ"]; typ != "at+jwt" {
				t.Errorf("typ %v", typ)
			}
		})
	}
}

func TestToken_is_verified_once_per_request(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t))
	access, _ := s.login()
	before := s.server.Sessions.Verifications()
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me?include=roles,tenant", access, nil))
	if n := s.server.Sessions.Verifications() - before; n != 1 {
		t.Errorf("verified %d times", n)
	}
}

func TestUser_and_tenant_are_checked_at_every_request(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		ctx := principal.System(t.Context(), "test")
		owner := s.owner()
		access, refresh := s.login()
		check := func(status int) {
			t.Helper()
			s.expect(status, s.call("GET", "/api/v1/users/me", access, nil))
			a := s.expect(status, s.refresh(refresh))
			if status == http.StatusOK {
				refresh = a.field(t, "refresh_token")
			}
		}
		check(http.StatusOK)
		s.db.Client.User.UpdateOne(owner).SetIsActive(false).ExecX(ctx)
		check(http.StatusUnauthorized)
		s.db.Client.User.UpdateOne(owner).SetIsActive(true).ExecX(ctx)
		s.db.Client.Tenant.UpdateOneID(owner.TenantID).SetIsActive(false).ExecX(ctx)
		check(http.StatusUnauthorized)
		s.db.Client.Tenant.UpdateOneID(owner.TenantID).SetIsActive(true).ExecX(ctx)
		check(http.StatusOK)
	})
}

func TestPassword_is_hashed_anew_when_the_cost_rises(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		old := start(t, opts)
		before := old.owner()
		s := start(t, opts, func(c *config.Config) { c.PasswordHashMemory = 20 << 10 })
		s.expect(http.StatusUnauthorized, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, "wrong password")))
		if after := s.owner(); *after.PasswordHash != *before.PasswordHash {
			t.Error("a wrong password was hashed")
		}
		access, _ := s.login()
		renewed := *s.owner().PasswordHash
		if !strings.HasPrefix(renewed, "$argon2id$v=19$m=20480,t=2,p=1$") {
			t.Errorf("stored %s", renewed)
		}
		old.login() // by the old instance, which does not go back
		if *s.owner().PasswordHash != renewed {
			t.Error("hashed again")
		}
		s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
	})
}
