package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tenantry/ent/oauthstate"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// openIDProvider is a certified OpenID provider, run here. It knows one client, which register
// makes known.
type openIDProvider struct {
	issuer   string
	register func(callbackURL string)
}

func newOpenIDProvider(t *testing.T) *openIDProvider {
	t.Helper()
	var handler http.Handler
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return &openIDProvider{web.URL, func(callbackURL string) {
		clients := map[string]*storage.Client{"tenantry": storage.WebClient("tenantry", "a secret of the provider",
			callbackURL)}
		store := storage.NewStorageWithClients(storage.NewUserStore(web.URL), clients)
		handler = exampleop.SetupServer(web.URL, store, slog.New(slog.NewTextHandler(io.Discard, nil)), true,
			op.WithAllowInsecure())
	}}
}

// signIn fills in the form of the provider, at which the browser has arrived, and returns where
// that leads to.
func (p *openIDProvider) signIn(b *apitest.Browser, form apitest.Answer) apitest.Answer {
	b.Helper()
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindSubmatch(form.Body)
	if id == nil {
		b.Fatalf("no form of the provider: %d %s", form.Status, form.Body)
	}
	return b.Submit(p.issuer+"/login/username", url.Values{"id": {string(id[1])}, "username": {"test-user@127.0.0.1"},
		"password": {"verysecure"}})
}

// expectMembers checks that the body of an answer contains the members.
func expectMembers(t testing.TB, a apitest.Answer, members ...string) {
	t.Helper()
	for _, want := range members {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("%s is not in %s", want, a.Body)
		}
	}
}

// expectFlowsEnded checks that the flows of the sign-in at the certified provider have made one
// user, left nothing and were counted.
func expectFlowsEnded(t *testing.T, s *apitest.Instance) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	if n := s.DB.Client.User.Query().CountX(ctx); n != 2 {
		t.Errorf("%d users, want the owner and one", n)
	}
	if n := s.DB.Client.OAuthState.Query().Where(oauthstate.Callbacks(0)).CountX(ctx) +
		s.DB.Client.OneTimeToken.Query().CountX(ctx); n != 0 {
		t.Errorf("%d states and codes are left", n)
	}
	for outcome, want := range map[string]float64{"ok": 2, "refused": 5, "provider_failed": 0, "failed": 0} {
		if got := apitest.Metric(t, s.Server.Operations, `tenantry_sign_ins_total{method="oauth",outcome="`+outcome+
			`"}`); got != want {
			t.Errorf("%v flows ended %s, want %v", got, outcome, want)
		}
	}
}

func TestSignIn_atCertifiedOpenIDProviderSucceeds(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		p := newOpenIDProvider(t)
		p.register("https://id.acme.test/api/v1/auth/oauth/corporate/callback")
		s := apitest.Start(t, opts, apitest.AllowLoopback, func(c *config.Config) {
			c.OAuthProviders = []config.OAuthProvider{{Name: "corporate", Kind: "oidc", ClientID: "tenantry",
				ClientSecret: "a secret of the provider", Issuer: p.issuer}}
		})
		s.ChangeSettings("acme", apitest.OpenToProviders)
		verifier := strings.Repeat("verify-", 8)
		challenge := sha256.Sum256([]byte(verifier))
		begin := "/api/v1/auth/oauth/corporate/authorize?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL) +
			"&code_challenge_method=S256&code_challenge=" + base64.RawURLEncoding.EncodeToString(challenge[:])

		b := s.Browser()
		landed := p.signIn(b, b.Visit(begin)).RedirectQuery(b)
		code := landed.Get("code")
		if code == "" || len(landed) != 1 {
			t.Fatalf("arrived with %v", landed)
		}
		exchange := func(code, verifier string) apitest.Answer {
			return s.Call("POST", "/api/v1/auth/oauth/exchange", "",
				map[string]string{"code": code, "code_verifier": verifier})
		}
		a := s.Expect(http.StatusOK, exchange(code, verifier))
		me := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me?include=roles", a.Field(t, "access_token"), nil))
		expectMembers(t, me, `"email":"test-user@zitadel.ch"`, `"email_verified":true`, `"full_name":"Test User"`,
			`"name":"member"`)
		s.Expect(http.StatusOK, s.Refresh(a.Field(t, "refresh_token")))
		s.Expect(http.StatusBadRequest, exchange(code, verifier))

		// The second time it is the same user, whose code is of no use to who does not know the
		// verifier, or has lost it.
		for _, wrong := range []string{"", strings.Repeat("another", 8)} {
			landed = p.signIn(b, b.Visit(begin)).RedirectQuery(b)
			body := map[string]string{"code": landed.Get("code")}
			if wrong != "" {
				body["code_verifier"] = wrong
			}
			s.Expect(http.StatusBadRequest, s.Call("POST", "/api/v1/auth/oauth/exchange", "", body))
			s.Expect(http.StatusBadRequest, exchange(landed.Get("code"), verifier))
		}
		// Without an address to come back to, the answer is here.
		again := s.Expect(http.StatusOK, p.signIn(b, b.Visit("/api/v1/auth/oauth/corporate/authorize")))
		if again.Field(t, "refresh_token") == "" ||
			!strings.Contains(string(again.Body), `"email":"test-user@zitadel.ch"`) {
			t.Errorf("answered %s", again.Body)
		}
		expectFlowsEnded(t, s)
	})
}

func TestSignIn_atAProviderOfATenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		p := newOpenIDProvider(t)
		s := apitest.Start(t, opts, apitest.AllowLoopback)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		made := s.Expect(http.StatusCreated, s.Call("POST", apitest.ProvidersPath, access,
			apitest.ProviderBody("corporate", map[string]any{"issuer": p.issuer, "client_id": "tenantry"})))
		p.register(made.Field(t, "callback_url"))

		b := s.Browser()
		begin := "/api/v1/auth/oauth/corporate/authorize?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL)
		code := p.signIn(b, b.Visit(begin)).RedirectQuery(b).Get("code")
		s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))

		// Another tenant does not offer it.
		s.CreateTenant("other")
		s.Expect(http.StatusNotFound, s.Browser().Visit(begin+"&tenant=other"))
		s.Expect(http.StatusNotFound, s.Browser().Visit(begin+"&tenant=nobody"))
		s.Expect(http.StatusNotFound, s.Browser().Visit("/api/v1/auth/oauth/google/authorize"))

		// Disabled while a browser is there: refused at the end, and at the beginning (O-11).
		form := b.Visit(begin)
		s.Expect(http.StatusOK, s.Call("PATCH", apitest.ProvidersPath+"/"+made.Field(t, "id"), access,
			map[string]any{"enabled": false}))
		if landed := p.signIn(b, form).RedirectQuery(b); landed.Get("error") != "invalid_request" ||
			landed.Get("error_code") != "provider_disabled" {
			t.Errorf("arrived with %v", landed)
		}
		s.Expect(http.StatusNotFound, s.Browser().Visit(begin))
	})
}
