package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ent/user"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// brokenUserinfo are responses of a userinfo endpoint that say nothing of the user.
func brokenUserinfo(i *issuer) map[string]http.HandlerFunc {
	status := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", status) }
	}
	return map[string]http.HandlerFunc{
		"forbidden": status(http.StatusForbidden), "unauthorized": status(http.StatusUnauthorized), "failing": status(http.StatusInternalServerError),
		"html": text("<html>"), "a_list": text("[]"), "null": text("null"), "empty_object": text("{}"), "error_with_200": text(`{"error":"insufficient_scope"}`),
		"no_subject": text(`{"email":"mallory@acme.test","email_verified":true}`), "a_signed_document": text("eyJhbGciOiJFUzI1NiJ9.e30.c2ln"),
		"empty": text(""), "redirect": leading(i, http.StatusFound), "endless": endless, "stalling": stalling, "stalling_in_the_body": dribbling,
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
}

// A complete ID token signs its user in, whatever the userinfo endpoint answers (OIDC Core §5.3).
func TestUserinfo_brokenLeavesTheIDToken(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		issuers, offers := map[string]*issuer{}, []func(*config.Config){loopback}
		for name := range brokenUserinfo(nil) {
			i := newIssuer(t)
			i.userinfo, i.answer["/userinfo"] = map[string]any{}, brokenUserinfo(i)[name]
			i.person["email"] = strings.ReplaceAll(name, "_", "-") + "@acme.test"
			issuers[name] = i
			offers = append(offers, i.offer(strings.ReplaceAll(name, "_", "-")))
		}
		s := start(t, opts, offers...)
		s.set("acme", welcoming)
		for name, i := range issuers {
			b, begun := s.browser(), time.Now()
			a := b.visit("/api/v1/auth/oauth/" + strings.ReplaceAll(name, "_", "-") + "/authorize")
			if a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
				continue
			}
			if !strings.Contains(string(a.body), `"email":"`+i.person["email"].(string)+`"`) || i.called("/userinfo") == 0 || i.called("/secret") != 0 {
				t.Errorf("%s: after %d calls: %s", name, i.called("/userinfo"), a.body)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("%s: %s", name, took)
			}
		}
		if n := s.db.Client.User.Query().Where(user.EmailVerifiedAtNotNil()).CountX(principal.System(t.Context(), "test")); n != len(issuers) {
			t.Errorf("%d addresses are verified, want %d", n, len(issuers))
		}
		if n := strings.Count(s.log.String(), "user information was not read"); n != len(issuers) {
			t.Errorf("logged %d times, want %d", n, len(issuers))
		}
	})
}

// An address that only the userinfo endpoint has is required for a new user alone.
func TestUserinfo_brokenCostsANewUserTheAddress(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		i.userinfo = map[string]any{"sub": "sub-1", "email": "ada@acme.test"}
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		i.change(func() { delete(i.person, "email") })
		s.expect(http.StatusOK, s.browser().visit(authorizePath))
		for _, test := range []struct {
			answer http.HandlerFunc
			status int
			code   string
		}{
			{failing(http.StatusForbidden), http.StatusForbidden, "email_missing"},
			{failing(http.StatusUnauthorized), http.StatusForbidden, "email_missing"},
			{text("{}"), http.StatusForbidden, "email_missing"},
			{failing(http.StatusServiceUnavailable), http.StatusBadGateway, "provider_failed"},
			{stalling, http.StatusGatewayTimeout, "provider_timeout"},
		} {
			i.change(func() { i.answer["/userinfo"], i.person["sub"] = test.answer, "sub-1" })
			s.expect(http.StatusOK, s.browser().visit(authorizePath))
			i.change(func() { i.person["sub"] = "sub-2" })
			if a := s.expect(test.status, s.browser().visit(authorizePath)); a.field(t, "code") != test.code || strings.Contains(string(a.body), "canary") {
				t.Errorf("refused with %s", a.body)
			}
		}
		if !strings.Contains(s.log.String(), "answers 403") {
			t.Error("the log does not say what the userinfo endpoint has answered")
		}
	})
}

// Members of the discovery document that no sign-in needs may be missing, or of another type.
func TestDiscovery_optionalMembersMayBeWrong(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		variants := map[string]map[string]any{
			"userinfo-of-http": {"userinfo_endpoint": "http://id.example.com/userinfo"}, "userinfo-of-a-number": {"userinfo_endpoint": 1},
			"methods-of-text": {"token_endpoint_auth_methods_supported": "client_secret_basic"}, "iss-of-text": {"authorization_response_iss_parameter_supported": "yes"},
			"userinfo-algorithms": {"userinfo_signing_alg_values_supported": map[string]any{}}, "device-of-a-number": {"device_authorization_endpoint": 4},
		}
		offers := []func(*config.Config){loopback}
		for name, members := range variants {
			i := newIssuer(t)
			i.answer["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) {
				document := map[string]any{
					"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
					"id_token_signing_alg_values_supported": []string{"ES256"},
				}
				for member, value := range members {
					document[member] = value
				}
				i.write(w, document)
			}
			offers = append(offers, i.offer(name))
		}
		s := start(t, opts, offers...)
		s.set("acme", welcoming)
		for name := range variants {
			a := s.browser().visit("/api/v1/auth/oauth/" + name + "/authorize")
			// The second one meets the account of the first.
			if a.status != http.StatusOK && a.field(t, "code") != "account_exists" {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	})
}

// A provider whose discovery fails after an hour is used as it was, for a day; its keys must be fresh.
func TestDiscovery_outageLeavesWhatWasRead(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		var ahead atomic.Int64
		began := still()()
		now := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
		i := newIssuer(t)
		i.clock = now
		s := startAt(t, opts, now, i.offer("corporate"))
		s.set("acme", welcoming)
		s.expect(http.StatusOK, s.browser().visit(authorizePath))
		i.change(func() { i.answer["/.well-known/openid-configuration"] = failing(http.StatusServiceUnavailable) })
		ahead.Store(int64(2 * time.Hour))
		s.expect(http.StatusOK, s.browser().visit(authorizePath))
		i.change(func() { i.answer["/keys"] = failing(http.StatusServiceUnavailable) })
		ahead.Add(int64(2 * time.Hour))
		s.expect(http.StatusBadGateway, s.browser().visit(authorizePath))
		i.change(func() { delete(i.answer, "/keys") })
		ahead.Add(int64(24 * time.Hour))
		s.expect(http.StatusBadGateway, s.browser().visit(authorizePath))
	})
}

// The token endpoint must answer what is required: an ID token, or at an OAuth 2.0 server an access token.
func TestToken_optionalMembersMayBeWrong(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		i.userinfo = map[string]any{"sub": "sub-1", "email": "ada@acme.test"}
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		for name, change := range map[string]func(map[string]any){
			"no_access_token":          func(d map[string]any) { delete(d, "access_token") }, // Azure AD B2C
			"access_token_of_a_number": func(d map[string]any) { d["access_token"] = 1 },
			"expiry_that_is_text":      func(d map[string]any) { d["expires_in"] = "soon" },
			"no_token_type":            func(d map[string]any) { delete(d, "token_type") },
			"list_of_scopes":           func(d map[string]any) { d["scope"] = []string{"openid"} },
		} {
			i.change(func() { i.grant = change })
			if a := s.browser().visit(authorizePath); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		for name, change := range map[string]func(map[string]any){
			"no_id_token": func(d map[string]any) { delete(d, "id_token") }, "id_token_of_a_number": func(d map[string]any) { d["id_token"] = 1 },
		} {
			i.change(func() { i.grant = change })
			if a := s.browser().visit(authorizePath); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	})
}

// Some providers refuse a code with the status 200, and a code of their own for it: that is no failure of theirs.
func TestToken_refusedCodeIsInvalidGrant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, loopback, func(c *config.Config) {
			c.OAuthProviders = []config.OAuthProvider{{
				Name: "corporate", Kind: "oauth2", ClientID: "tenantry", ClientSecret: "a secret of the provider", AuthorizationEndpoint: i.URL + "/authorize",
				TokenEndpoint: i.URL + "/token", UserinfoEndpoint: i.URL + "/userinfo",
			}}
		})
		s.set("acme", welcoming)
		for _, test := range []struct {
			answer http.HandlerFunc
			status int
			code   string
		}{
			{text(`{"error":"bad_verification_code","error_description":"canary"}`), http.StatusBadRequest, "invalid_grant"},
			{text(`{"ok":false,"error":"invalid_code"}`), http.StatusBadRequest, "invalid_grant"},
			{text(`{"error":"invalid_grant"}`), http.StatusBadRequest, "invalid_grant"},
			{text(`{"error":"incorrect_client_credentials"}`), http.StatusBadGateway, "provider_failed"},
			{text(`{"token_type":"bearer"}`), http.StatusBadGateway, "provider_failed"},
			{text(`null`), http.StatusBadGateway, "provider_failed"},
			{func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
				fmt.Fprint(w, "error=bad_verification_code&error_description=canary")
			}, http.StatusBadRequest, "invalid_grant"},
		} {
			i.change(func() { i.answer["/token"] = test.answer })
			if a := s.expect(test.status, s.browser().visit(authorizePath)); a.field(t, "code") != test.code || strings.Contains(string(a.body), "canary") {
				t.Errorf("refused with %s", a.body)
			}
		}
		i.change(func() {
			i.userinfo = map[string]any{"id": 4711, "email": "ada@acme.test"}
			i.answer["/token"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
				fmt.Fprint(w, "access_token=access&scope=user&token_type=bearer")
			}
		})
		s.expect(http.StatusOK, s.browser().visit(authorizePath))
	})
}

// A key that was replaced under its own kid, or without one, is fetched when no kept key verifies: once, and not again for a while.
func TestKeys_replacedUnderTheSameKidAreFetchedOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		var ahead atomic.Int64
		began := still()()
		now := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
		with, without := newIssuer(t), newIssuer(t)
		with.clock, without.clock = now, now
		without.keys[0].KeyID = ""
		without.lie = func(header, _ map[string]any) { delete(header, "kid") }
		s := startAt(t, opts, now, with.offer("k1"), without.offer("none"))
		s.set("acme", welcoming)
		for kid, i := range map[string]*issuer{"k1": with, "none": without} {
			path := "/api/v1/auth/oauth/" + kid + "/authorize"
			i.change(func() { i.person["email"] = fmt.Sprintf("ada%s@acme.test", kid) })
			s.expect(http.StatusOK, s.browser().visit(path))
			replaced, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			i.change(func() { i.key, i.keys[0].Key = replaced, &replaced.PublicKey })
			ahead.Add(int64(11 * time.Second))
			if a := s.browser().visit(path); a.status != http.StatusOK || i.called("/keys") != 2 {
				t.Errorf("%s: %d %s after %d fetches", kid, a.status, a.body, i.called("/keys"))
			}
			foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			i.change(func() { i.key = foreign })
			ahead.Add(int64(11 * time.Second))
			for range 5 {
				s.expect(http.StatusBadRequest, s.browser().visit(path))
			}
			if n := i.called("/keys"); n != 3 {
				t.Errorf("%s: the keys were fetched %d times, want 3", kid, n)
			}
			// A failed fetch leaves the keys that are kept.
			i.change(func() { i.answer["/keys"] = failing(http.StatusServiceUnavailable) })
			ahead.Add(int64(11 * time.Second))
			s.expect(http.StatusBadGateway, s.browser().visit(path))
			i.change(func() { i.key = replaced })
			s.expect(http.StatusOK, s.browser().visit(path))
		}
	})
}

// Apple tells the name in its first form, and never again.
func TestAnswer_inAFormNamesTheNewUser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"))
		s.set("acme", welcoming)
		for n, test := range []struct{ claim, user, want string }{
			{"", `{"name":{"firstName":"Ada","lastName":"King"},"email":"mallory@acme.test"}`, "Ada King"},
			{"", `{"name":{"firstName":" Ad\u200ba "}}`, "Ada"},
			{"", `{"name":{"firstName":"Zoë","middleName":"M.","lastName":"O'Neil; \"x\""}}`, `Zoë M. O'Neil; "x"`},
			{"Ada of the token", `{"name":{"firstName":"Mallory"}}`, "Ada of the token"},
			{"", `{"name":"Ada King"}`, "Ada King"},
			{"", `{"name":7}`, ""}, {"", `{`, ""}, {"", "", ""}, {"", `[]`, ""},
		} {
			address := fmt.Sprintf("user%d@acme.test", n)
			i.change(func() { i.person = map[string]any{"sub": address, "email": address, "name": test.claim} })
			b := s.browser()
			callback, err := url.Parse(b.returning(authorizePath))
			if err != nil {
				t.Fatal(err)
			}
			form := callback.Query()
			if form.Set("user", test.user); test.user == "" {
				form.Del("user")
			}
			a := s.expect(http.StatusOK, b.submit(callback.Path, form))
			for _, hop := range b.hops {
				if at := hop.header.Get("Location"); strings.Contains(at, "user") || strings.Contains(at, "Ada") {
					t.Errorf("the name is in the URL %s", at)
				}
			}
			var document struct{ User map[string]any }
			if err := json.Unmarshal(a.body, &document); err != nil {
				t.Fatal(err)
			}
			if document.User["full_name"] != test.want || document.User["email"] != address {
				t.Errorf("%s: %v has signed in, want %q", test.user, document.User, test.want)
			}
			for _, c := range b.Jar.Cookies(&url.URL{Scheme: "https", Host: publicHost, Path: callback.Path}) {
				if strings.Contains(c.Name, "name") {
					t.Errorf("the cookie %s is left", c.Name)
				}
			}
		}
	})
}
