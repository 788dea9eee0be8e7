package oauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestProviders_createdUpdatedAndDeletedByOwner(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		access, _ := s.Login()
		stranger := s.CreateUser("other", "owner@other.test", "owner")
		admin := s.CreateUser("acme", "admin@acme.test", "admin")
		create := func(body map[string]any) apitest.Answer {
			return s.Call("POST", apitest.ProvidersPath, access, body)
		}

		a := s.Expect(http.StatusCreated, create(apitest.ProviderBody("corporate", nil)))
		id := a.Field(t, "id")
		expectMembers(t, a, `"enabled":true`, `"has_client_secret":true`, `"label":"Single sign-on"`,
			`"scopes":["openid","email","profile"]`, `"issuer":"https://id.example.com/realm"`)
		s.Expect(http.StatusConflict, create(apitest.ProviderBody("corporate",
			map[string]any{"kind": "google", "issuer": ""})))
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, stranger.Access,
			apitest.ProviderBody("corporate", nil)))
		google := s.Expect(http.StatusCreated,
			create(map[string]any{"name": "google", "kind": "google", "client_id": "acme", "enabled": false}))
		if google.Field(t, "issuer") != "https://accounts.google.com" ||
			!strings.Contains(string(google.Body), `"has_client_secret":false`) {
			t.Errorf("made %s", google.Body)
		}
		s.Expect(http.StatusCreated, create(map[string]any{"name": "own", "kind": "oauth2", "client_id": "acme",
			"authorization_endpoint": "https://a.example.com/a", "token_endpoint": "https://a.example.com/t?x=1",
			"userinfo_endpoint": "https://a.example.com/u"}))

		list := s.Expect(http.StatusOK, s.Call("GET", apitest.ProvidersPath, access, nil))
		if n := strings.Count(string(list.Body), `"name":`); n != 3 ||
			strings.Index(string(list.Body), `"corporate"`) > strings.Index(string(list.Body), `"google"`) {
			t.Errorf("listed %s", list.Body)
		}
		s.Expect(http.StatusForbidden, s.Call("GET", apitest.ProvidersPath, admin.Access, nil))
		path := apitest.ProvidersPath + "/" + id
		a = s.Expect(http.StatusOK, s.Call("PATCH", path, access,
			map[string]any{"label": "Cafe\u0301", "enabled": false, "client_id": "other",
				"client_secret": "another secret", "scopes": []string{"openid"}}))
		expectMembers(t, a, `"label":"Café"`, `"enabled":false`, `"client_id":"other"`, `"scopes":["openid"]`)
		for _, fixed := range []string{"name", "kind", "issuer", "token_endpoint", "id", "tenant_id", "Client_ID"} {
			s.Expect(http.StatusUnprocessableEntity, s.Call("PATCH", path, access, map[string]any{fixed: "x"}))
		}
		s.Expect(http.StatusUnprocessableEntity,
			s.Call("PATCH", path, access, map[string]any{"scopes": []string{"email"}}))
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			s.Expect(http.StatusNotFound, s.Call(method, path, stranger.Access, map[string]any{"label": "Mine"}))
			s.Expect(http.StatusNotFound, s.Call(method, apitest.ProvidersPath+"/"+uuid.NewString(), access,
				map[string]any{"label": "Mine"}))
		}
		s.Expect(http.StatusNoContent, s.Call("DELETE", path, access, nil))
		s.Expect(http.StatusNotFound, s.Call("GET", path, access, nil))
	})
}

func TestProvider_thatDoesNotMatchItsKindIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
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
			{"/authorization_endpoint", map[string]any{"kind": "oauth2",
				"authorization_endpoint": "javascript:alert(1)"}},
			{"/scopes", map[string]any{"scopes": []string{"email"}}},
			{"/scopes/0", map[string]any{"scopes": []string{"openid email"}}},
			{"/name", map[string]any{"name": "Corporate"}},
			{"/name", map[string]any{"name": "a/b"}},
			{"/kind", map[string]any{"kind": "saml"}},
			{"/client_id", map[string]any{"client_id": ""}},
		} {
			a := s.Expect(http.StatusUnprocessableEntity, s.Call("POST", apitest.ProvidersPath, access,
				apitest.ProviderBody("corporate", test.more)))
			if !strings.Contains(string(a.Body), `"`+test.pointer+`"`) {
				t.Errorf("%v: %s is not named: %s", test.more, test.pointer, a.Body)
			}
		}
		if n := s.DB.Client.OAuthProvider.Query().CountX(principal.System(t.Context(), "test")); n != 0 {
			t.Errorf("%d are stored", n)
		}
		local := apitest.Start(t, opts, func(c *config.Config) {
			c.OutboundNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		local.Expect(http.StatusCreated, local.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("local", map[string]any{"issuer": "http://127.0.0.1:9000"})))
		local.Expect(http.StatusUnprocessableEntity, local.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("near", map[string]any{"issuer": "http://10.0.0.1:9000"})))
		for i := range 19 {
			s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
				apitest.ProviderBody(fmt.Sprintf("p%d", i), nil)))
		}
		s.Expect(http.StatusConflict, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("one-more", nil)))
	})
}

// O-16: a client secret is sealed in the database, under the row's id, and no response contains it.
// It outlives a change of the server's secret.
func TestClientSecret_isEncryptedAndNeverReturned(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		const canary, next = "canary-7f3a9c51d2", "the next secret for tests, long enough too"
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		a := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"client_secret": canary})))
		path := apitest.ProvidersPath + "/" + a.Field(t, "id")
		for _, a := range []apitest.Answer{a, s.Call("GET", path, access, nil),
			s.Call("GET", apitest.ProvidersPath, access, nil),
			s.Call("PATCH", path, access, map[string]any{"label": "x"})} {
			if strings.Contains(string(a.Body), canary[:8]) {
				t.Errorf("shown: %s", a.Body)
			}
		}
		if strings.Contains(s.Logs.String(), canary[:8]) {
			t.Error("it is in the log")
		}
		ctx := principal.System(t.Context(), "test")
		sealed := *s.DB.Client.OAuthProvider.Query().Where(oauthprovider.Name("corporate")).OnlyX(ctx).ClientSecret
		if bytes.Contains(sealed, []byte(canary[:8])) {
			t.Error("it is stored in the clear")
		}
		rotated := apitest.Start(t, opts, func(c *config.Config) { c.Secret, c.SecretPrevious = next, apitest.Secret })
		if err := rotated.Server.OAuth.NewResealer().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := *s.DB.Client.OAuthProvider.Query().Where(oauthprovider.Name("corporate")).OnlyX(ctx).ClientSecret
		if bytes.Equal(again, sealed) {
			t.Error("it was not sealed under the next secret")
		}
	})
}

func TestOffers_areThoseOfTheServerAndTheTenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) {
			c.OAuthProviders = []config.OAuthProvider{{Name: "google", Kind: "google", ClientID: "x"},
				{Name: "github", Kind: "github", ClientID: "x", Label: "Octocat"}}
		})
		s.CreateTenant("other")
		access, _ := s.Login()
		offers := func(query string) string {
			var list api.OAuthOffers
			if err := json.Unmarshal(s.Expect(http.StatusOK, s.Call("GET", "/api/v1/auth/oauth/providers"+query, "",
				nil)).Body, &list); err != nil {
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
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"label": "Acme"})))
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("google", map[string]any{"label": "Own Google"})))
		s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("github", map[string]any{"enabled": false})))
		if got := offers("?tenant=acme"); got != "corporate=Acme google=Own Google" {
			t.Errorf("of its own: %s", got)
		}
		if got := offers("?tenant=other"); got != servers {
			t.Errorf("of another tenant: %s", got)
		}
		s.DB.Client.Tenant.Update().SetIsActive(false).ExecX(principal.System(t.Context(), "test"))
		if got := offers("?tenant=acme"); got != servers {
			t.Errorf("of a suspended tenant: %s", got)
		}
	})
}
