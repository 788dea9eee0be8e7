package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/api"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

const providersPath = "/api/v1/oauth-providers"

// provider is one that may be set up.
func provider(name string, more map[string]any) map[string]any {
	p := map[string]any{"name": name, "kind": "oidc", "client_id": "acme", "client_secret": "a secret of the provider", "issuer": "https://id.example.com/realm"}
	maps.Copy(p, more)
	return p
}

func TestProviders_are_set_up_changed_and_deleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		access, _ := s.login()
		stranger := s.join("other", "owner@other.test", "owner")
		admin := s.join("acme", "admin@acme.test", "admin")
		create := func(body map[string]any) answer { return s.call("POST", providersPath, access, body) }

		a := s.expect(http.StatusCreated, create(provider("corporate", nil)))
		id := a.field(t, "id")
		for _, want := range []string{`"enabled":true`, `"has_client_secret":true`, `"label":"Single sign-on"`, `"scopes":["openid","email","profile"]`, `"issuer":"https://id.example.com/realm"`} {
			if !strings.Contains(string(a.body), want) {
				t.Errorf("%s is not in %s", want, a.body)
			}
		}
		s.expect(http.StatusConflict, create(provider("corporate", map[string]any{"kind": "google", "issuer": ""})))
		s.expect(http.StatusCreated, s.call("POST", providersPath, stranger.access, provider("corporate", nil)))
		google := s.expect(http.StatusCreated, create(map[string]any{"name": "google", "kind": "google", "client_id": "acme", "enabled": false}))
		if google.field(t, "issuer") != "https://accounts.google.com" || !strings.Contains(string(google.body), `"has_client_secret":false`) {
			t.Errorf("made %s", google.body)
		}
		s.expect(http.StatusCreated, create(map[string]any{"name": "own", "kind": "oauth2", "client_id": "acme",
			"authorization_endpoint": "https://a.example.com/a", "token_endpoint": "https://a.example.com/t?x=1", "userinfo_endpoint": "https://a.example.com/u"}))

		list := s.expect(http.StatusOK, s.call("GET", providersPath, access, nil))
		if n := strings.Count(string(list.body), `"name":`); n != 3 || strings.Index(string(list.body), `"corporate"`) > strings.Index(string(list.body), `"google"`) {
			t.Errorf("listed %s", list.body)
		}
		s.expect(http.StatusForbidden, s.call("GET", providersPath, admin.access, nil))
		path := providersPath + "/" + id
		a = s.expect(http.StatusOK, s.call("PATCH", path, access, map[string]any{"label": "Cafe\u0301", "enabled": false, "client_id": "other", "client_secret": "another secret", "scopes": []string{"openid"}}))
		for _, want := range []string{`"label":"Café"`, `"enabled":false`, `"client_id":"other"`, `"scopes":["openid"]`} {
			if !strings.Contains(string(a.body), want) {
				t.Errorf("%s is not in %s", want, a.body)
			}
		}
		for _, fixed := range []string{"name", "kind", "issuer", "token_endpoint", "id", "tenant_id", "Client_ID"} {
			s.expect(http.StatusUnprocessableEntity, s.call("PATCH", path, access, map[string]any{fixed: "x"}))
		}
		s.expect(http.StatusUnprocessableEntity, s.call("PATCH", path, access, map[string]any{"scopes": []string{"email"}}))
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			s.expect(http.StatusNotFound, s.call(method, path, stranger.access, map[string]any{"label": "Mine"}))
			s.expect(http.StatusNotFound, s.call(method, providersPath+"/"+uuid.NewString(), access, map[string]any{"label": "Mine"}))
		}
		s.expect(http.StatusNoContent, s.call("DELETE", path, access, nil))
		s.expect(http.StatusNotFound, s.call("GET", path, access, nil))
	})
}

func TestProvider_that_is_none_of_its_kind_is_refused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		for _, test := range []struct {
			pointer string
			more    map[string]any
		}{
			{"/issuer", map[string]any{"issuer": ""}},
			{"/issuer", map[string]any{"kind": "microsoft", "issuer": ""}},
			{"/issuer", map[string]any{"kind": "google"}},
			{"/issuer", map[string]any{"kind": "github"}},
			{"/issuer", map[string]any{"issuer": "http://id.example.com"}},
			{"/issuer", map[string]any{"issuer": "http://127.0.0.1:9000"}},
			{"/issuer", map[string]any{"issuer": "https://user@id.example.com"}},
			{"/issuer", map[string]any{"issuer": "https://id.example.com/?tenant=1"}},
			{"/issuer", map[string]any{"issuer": "https://id.example.com/#x"}},
			{"/issuer", map[string]any{"issuer": "https:///realm"}},
			{"/issuer", map[string]any{"issuer": "file:///etc/passwd"}},
			{"/token_endpoint", map[string]any{"token_endpoint": "https://id.example.com/t"}},
			{"/token_endpoint", map[string]any{"kind": "oauth2"}},
			{"/authorization_endpoint", map[string]any{"kind": "oauth2", "authorization_endpoint": "javascript:alert(1)"}},
			{"/scopes", map[string]any{"scopes": []string{"email"}}},
			{"/scopes/0", map[string]any{"scopes": []string{"openid email"}}},
			{"/name", map[string]any{"name": "Corporate"}},
			{"/name", map[string]any{"name": "a/b"}},
			{"/kind", map[string]any{"kind": "saml"}},
			{"/client_id", map[string]any{"client_id": ""}},
		} {
			a := s.expect(http.StatusUnprocessableEntity, s.call("POST", providersPath, access, provider("corporate", test.more)))
			if !strings.Contains(string(a.body), `"`+test.pointer+`"`) {
				t.Errorf("%v: %s is not named: %s", test.more, test.pointer, a.body)
			}
		}
		if n := s.db.Client.OAuthProvider.Query().CountX(principal.System(t.Context(), "test")); n != 0 {
			t.Errorf("%d are stored", n)
		}
		local := start(t, opts, func(c *config.Config) { c.OutboundNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
		local.expect(http.StatusCreated, local.call("POST", providersPath, access, provider("local", map[string]any{"issuer": "http://127.0.0.1:9000"})))
		local.expect(http.StatusUnprocessableEntity, local.call("POST", providersPath, access, provider("near", map[string]any{"issuer": "http://10.0.0.1:9000"})))
		for i := range 19 {
			s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider(fmt.Sprintf("p%d", i), nil)))
		}
		s.expect(http.StatusConflict, s.call("POST", providersPath, access, provider("one-more", nil)))
	})
}

// O-16: a client secret is sealed in the database, under the row's id, and nobody is shown it. It outlives a change of the
// server's secret.
func TestClient_secret_is_sealed_and_never_shown(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		const canary, next = "canary-7f3a9c51d2", "the next secret for tests, long enough too"
		s := start(t, opts)
		access, _ := s.login()
		a := s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"client_secret": canary})))
		path := providersPath + "/" + a.field(t, "id")
		for _, a := range []answer{a, s.call("GET", path, access, nil), s.call("GET", providersPath, access, nil), s.call("PATCH", path, access, map[string]any{"label": "x"})} {
			if strings.Contains(string(a.body), canary[:8]) {
				t.Errorf("shown: %s", a.body)
			}
		}
		if strings.Contains(s.log.String(), canary[:8]) {
			t.Error("it is in the log")
		}
		ctx := principal.System(t.Context(), "test")
		sealed := *s.db.Client.OAuthProvider.Query().Where(oauthprovider.Name("corporate")).OnlyX(ctx).ClientSecret
		if bytes.Contains(sealed, []byte(canary[:8])) {
			t.Error("it is stored in the clear")
		}
		rotated := start(t, opts, func(c *config.Config) { c.Secret, c.SecretPrevious = next, testSecret })
		if err := rotated.server.Reseal(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := *s.db.Client.OAuthProvider.Query().Where(oauthprovider.Name("corporate")).OnlyX(ctx).ClientSecret
		if bytes.Equal(again, sealed) {
			t.Error("it was not sealed under the next secret")
		}
	})
}

func TestOffers_are_the_servers_and_the_tenants_own(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts, func(c *config.Config) {
			c.OAuthProviders = []config.OAuthProvider{{Name: "google", Kind: "google", ClientID: "x"}, {Name: "github", Kind: "github", ClientID: "x", Label: "Octocat"}}
		})
		s.found("other")
		access, _ := s.login()
		offers := func(query string) string {
			var list api.OAuthOffers
			if err := json.Unmarshal(s.expect(http.StatusOK, s.call("GET", "/api/v1/auth/oauth/providers"+query, "", nil)).body, &list); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, o := range list.Items {
				names = append(names, o.Name+"="+o.Label)
			}
			return strings.Join(names, " ")
		}
		const servers = "github=Octocat google=Google"
		for _, query := range []string{"", "?tenant=acme", "?tenant=other", "?tenant=nobody"} {
			if got := offers(query); got != servers {
				t.Errorf("%q: %s", query, got)
			}
		}
		s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"label": "Acme"})))
		s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("google", map[string]any{"label": "Own Google"})))
		s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("github", map[string]any{"enabled": false})))
		if got := offers("?tenant=acme"); got != "corporate=Acme google=Own Google" {
			t.Errorf("of its own: %s", got)
		}
		if got := offers("?tenant=other"); got != servers {
			t.Errorf("of another tenant: %s", got)
		}
		s.db.Client.Tenant.Update().SetIsActive(false).ExecX(principal.System(t.Context(), "test"))
		if got := offers("?tenant=acme"); got != servers {
			t.Errorf("of a suspended tenant: %s", got)
		}
	})
}
