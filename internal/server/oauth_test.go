package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"tenantry/ent/oauthstate"
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// loopback lets providers be on this machine.
func loopback(c *config.Config) {
	c.OutboundNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// set changes the settings of a tenant behind the back of its API.
func (s *instance) set(slug string, change func(*settings.Tenant)) {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	home := s.db.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
	change(&home.Settings)
	s.db.Client.Tenant.UpdateOne(home).SetSettings(home.Settings).ExecX(ctx)
}

// welcoming takes everybody who comes with a proof, and leads them back to the application.
func welcoming(t *settings.Tenant) {
	t.Registration, t.LinkByEmail, t.RedirectURIs = settings.RegistrationOpen, true, []string{application}
}

// openIDProvider is a certified OpenID provider, run here. It knows one client, which register makes known.
type openIDProvider struct {
	issuer   string
	register func(callbackURL string)
}

func newOpenIDProvider(t *testing.T) *openIDProvider {
	t.Helper()
	var handler http.Handler
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	return &openIDProvider{web.URL, func(callbackURL string) {
		clients := map[string]*storage.Client{"tenantry": storage.WebClient("tenantry", "a secret of the provider", callbackURL)}
		store := storage.NewStorageWithClients(storage.NewUserStore(web.URL), clients)
		handler = exampleop.SetupServer(web.URL, store, slog.New(slog.NewTextHandler(io.Discard, nil)), true, op.WithAllowInsecure())
	}}
}

// signIn fills in the form of the provider, at which the browser has arrived, and returns where that leads to.
func (p *openIDProvider) signIn(b *browser, form answer) answer {
	b.Helper()
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindSubmatch(form.body)
	if id == nil {
		b.Fatalf("no form of the provider: %d %s", form.status, form.body)
	}
	return b.submit(p.issuer+"/login/username", url.Values{"id": {string(id[1])}, "username": {"test-user@127.0.0.1"}, "password": {"verysecure"}})
}

func TestSignIn_at_a_certified_OpenID_provider(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		p := newOpenIDProvider(t)
		p.register("https://id.acme.test/api/v1/auth/oauth/corporate/callback")
		s := start(t, opts, loopback, func(c *config.Config) {
			c.OAuthProviders = []config.OAuthProvider{{Name: "corporate", Kind: "oidc", ClientID: "tenantry", ClientSecret: "a secret of the provider", Issuer: p.issuer}}
		})
		s.set("acme", welcoming)
		verifier := strings.Repeat("verify-", 8)
		challenge := sha256.Sum256([]byte(verifier))
		begin := "/api/v1/auth/oauth/corporate/authorize?redirect_uri=" + url.QueryEscape(application) +
			"&code_challenge_method=S256&code_challenge=" + base64.RawURLEncoding.EncodeToString(challenge[:])

		b := s.browser()
		landed := p.signIn(b, b.visit(begin)).arrival(b)
		code := landed.Get("code")
		if code == "" || len(landed) != 1 {
			t.Fatalf("arrived with %v", landed)
		}
		exchange := func(code, verifier string) answer {
			return s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code, "code_verifier": verifier})
		}
		a := s.expect(http.StatusOK, exchange(code, verifier))
		me := s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me?include=roles", a.field(t, "access_token"), nil))
		for _, want := range []string{`"email":"test-user@zitadel.ch"`, `"email_verified":true`, `"full_name":"Test User"`, `"name":"member"`} {
			if !strings.Contains(string(me.body), want) {
				t.Errorf("%s is not in %s", want, me.body)
			}
		}
		s.expect(http.StatusOK, s.refresh(a.field(t, "refresh_token")))
		s.expect(http.StatusBadRequest, exchange(code, verifier))

		// The second time it is the same user, whose code is of no use to who does not know the verifier, or has lost it.
		for _, wrong := range []string{"", strings.Repeat("another", 8)} {
			landed = p.signIn(b, b.visit(begin)).arrival(b)
			body := map[string]string{"code": landed.Get("code")}
			if wrong != "" {
				body["code_verifier"] = wrong
			}
			s.expect(http.StatusBadRequest, s.call("POST", "/api/v1/auth/oauth/exchange", "", body))
			s.expect(http.StatusBadRequest, exchange(landed.Get("code"), verifier))
		}
		// Without an address to come back to, the answer is here.
		again := s.expect(http.StatusOK, p.signIn(b, b.visit("/api/v1/auth/oauth/corporate/authorize")))
		if again.field(t, "refresh_token") == "" || !strings.Contains(string(again.body), `"email":"test-user@zitadel.ch"`) {
			t.Errorf("answered %s", again.body)
		}
		ctx := principal.System(t.Context(), "test")
		if n := s.db.Client.User.Query().CountX(ctx); n != 2 {
			t.Errorf("%d users, want the owner and one", n)
		}
		if n := s.db.Client.OAuthState.Query().Where(oauthstate.Callbacks(0)).CountX(ctx) + s.db.Client.OneTimeToken.Query().CountX(ctx); n != 0 {
			t.Errorf("%d states and codes are left", n)
		}
		for outcome, want := range map[string]float64{"ok": 2, "refused": 5, "provider_failed": 0, "failed": 0} {
			if got := figure(t, s.server.Operations, `tenantry_sign_ins_total{method="oauth",outcome="`+outcome+`"}`); got != want {
				t.Errorf("%v flows ended %s, want %v", got, outcome, want)
			}
		}
	})
}

func TestSignIn_at_a_provider_of_a_tenant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		p := newOpenIDProvider(t)
		s := start(t, opts, loopback)
		s.set("acme", welcoming)
		access, _ := s.login()
		made := s.expect(http.StatusCreated, s.call("POST", providersPath, access, provider("corporate", map[string]any{"issuer": p.issuer, "client_id": "tenantry"})))
		p.register(made.field(t, "callback_url"))

		b := s.browser()
		begin := "/api/v1/auth/oauth/corporate/authorize?redirect_uri=" + url.QueryEscape(application)
		code := p.signIn(b, b.visit(begin)).arrival(b).Get("code")
		s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/oauth/exchange", "", map[string]string{"code": code}))

		// Another tenant does not offer it.
		s.found("other")
		s.expect(http.StatusNotFound, s.browser().visit(begin+"&tenant=other"))
		s.expect(http.StatusNotFound, s.browser().visit(begin+"&tenant=nobody"))
		s.expect(http.StatusNotFound, s.browser().visit("/api/v1/auth/oauth/google/authorize"))

		// Disabled while a browser is there: refused at the end, and at the beginning (O-11).
		form := b.visit(begin)
		s.expect(http.StatusOK, s.call("PATCH", providersPath+"/"+made.field(t, "id"), access, map[string]any{"enabled": false}))
		if landed := p.signIn(b, form).arrival(b); landed.Get("error") != "invalid_request" || landed.Get("error_code") != "provider_disabled" {
			t.Errorf("arrived with %v", landed)
		}
		s.expect(http.StatusNotFound, s.browser().visit(begin))
	})
}
