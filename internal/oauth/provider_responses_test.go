package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/ent/user"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// brokenUserinfo are responses of a userinfo endpoint that say nothing of the user.
func brokenUserinfo(i *apitest.Issuer) map[string]http.HandlerFunc {
	status := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", status) }
	}
	return map[string]http.HandlerFunc{
		"forbidden": status(http.StatusForbidden), "unauthorized": status(http.StatusUnauthorized),
		"failing": status(http.StatusInternalServerError),
		"html":    text("<html>"), "a_list": text("[]"), "null": text("null"), "empty_object": text("{}"),
		"error_with_200":    text(`{"error":"insufficient_scope"}`),
		"no_subject":        text(`{"email":"mallory@acme.test","email_verified":true}`),
		"a_signed_document": text("eyJhbGciOiJFUzI1NiJ9.e30.c2ln"),
		"empty":             text(""), "redirect": leading(i, http.StatusFound), "endless": endless,
		"stalling":             stalling,
		"stalling_in_the_body": dribbling,
		"cut":                  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
}

// A complete ID token signs its user in, whatever the userinfo endpoint answers (OIDC Core §5.3).
func TestUserinfo_brokenLeavesTheIDToken(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		issuers, offers := map[string]*apitest.Issuer{}, []func(*config.Config){apitest.AllowLoopback}
		for name := range brokenUserinfo(nil) {
			i := apitest.NewIssuer(t)
			i.Userinfo, i.Handlers["/userinfo"] = map[string]any{}, brokenUserinfo(i)[name]
			i.Claims["email"] = strings.ReplaceAll(name, "_", "-") + "@acme.test"
			issuers[name] = i
			offers = append(offers, i.Configure(strings.ReplaceAll(name, "_", "-")))
		}
		s := apitest.Start(t, opts, offers...)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for name, i := range issuers {
			b, begun := s.Browser(), time.Now()
			a := b.Visit("/api/v1/auth/oauth/" + strings.ReplaceAll(name, "_", "-") + "/authorize")
			if a.Status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
				continue
			}
			if !strings.Contains(string(a.Body), `"email":"`+i.Claims["email"].(string)+`"`) ||
				i.Called("/userinfo") == 0 || i.Called("/secret") != 0 {
				t.Errorf("%s: after %d calls: %s", name, i.Called("/userinfo"), a.Body)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("%s: %s", name, took)
			}
		}
		if n := s.DB.Client.User.Query().Where(user.EmailVerifiedAtNotNil()).CountX(principal.System(t.Context(),
			"test")); n != len(issuers) {
			t.Errorf("%d addresses are verified, want %d", n, len(issuers))
		}
		if n := strings.Count(s.Logs.String(), "user information was not read"); n != len(issuers) {
			t.Errorf("logged %d times, want %d", n, len(issuers))
		}
	})
}

// An address that only the userinfo endpoint has is required for a new user alone.
func TestUserinfo_brokenCostsANewUserTheAddress(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		i.Userinfo = map[string]any{"sub": "sub-1", "email": "ada@acme.test"}
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		i.Change(func() { delete(i.Claims, "email") })
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
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
			i.Change(func() { i.Handlers["/userinfo"], i.Claims["sub"] = test.answer, "sub-1" })
			s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
			i.Change(func() { i.Claims["sub"] = "sub-2" })
			if a := s.Expect(test.status, s.Browser().Visit(apitest.AuthorizePath)); a.Field(t, "code") != test.code ||
				strings.Contains(string(a.Body), "canary") {
				t.Errorf("refused with %s", a.Body)
			}
		}
		if !strings.Contains(s.Logs.String(), "answers 403") {
			t.Error("the log does not say what the userinfo endpoint has answered")
		}
	})
}

// Members of the discovery document that no sign-in needs may be missing, or of another type.
func TestDiscovery_optionalMembersMayBeWrong(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		variants := map[string]map[string]any{
			"userinfo-of-http":     {"userinfo_endpoint": "http://id.example.com/userinfo"},
			"userinfo-of-a-number": {"userinfo_endpoint": 1},
			"methods-of-text":      {"token_endpoint_auth_methods_supported": "client_secret_basic"},
			"iss-of-text":          {"authorization_response_iss_parameter_supported": "yes"},
			"userinfo-algorithms":  {"userinfo_signing_alg_values_supported": map[string]any{}},
			"device-of-a-number":   {"device_authorization_endpoint": 4},
		}
		offers := []func(*config.Config){apitest.AllowLoopback}
		for name, members := range variants {
			i := apitest.NewIssuer(t)
			i.Handlers["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) {
				document := map[string]any{
					"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
					"jwks_uri":                              i.URL + "/keys",
					"id_token_signing_alg_values_supported": []string{"ES256"},
				}
				for member, value := range members {
					document[member] = value
				}
				i.Write(w, document)
			}
			offers = append(offers, i.Configure(name))
		}
		s := apitest.Start(t, opts, offers...)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for name := range variants {
			a := s.Browser().Visit("/api/v1/auth/oauth/" + name + "/authorize")
			// The second one meets the account of the first.
			if a.Status != http.StatusOK && a.Field(t, "code") != "account_exists" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// A provider whose discovery fails after an hour is used as it was, for a day; its keys must be
// fresh.
func TestDiscovery_outageLeavesWhatWasRead(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		i := apitest.NewIssuer(t)
		i.Clock = clock.Now
		s := apitest.StartAt(t, opts, clock.Now, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		i.Change(func() { i.Handlers["/.well-known/openid-configuration"] = failing(http.StatusServiceUnavailable) })
		clock.Advance(2 * time.Hour)
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		i.Change(func() { i.Handlers["/keys"] = failing(http.StatusServiceUnavailable) })
		clock.Advance(2 * time.Hour)
		s.Expect(http.StatusBadGateway, s.Browser().Visit(apitest.AuthorizePath))
		i.Change(func() { delete(i.Handlers, "/keys") })
		clock.Advance(24 * time.Hour)
		s.Expect(http.StatusBadGateway, s.Browser().Visit(apitest.AuthorizePath))
	})
}

// A key that was replaced under its own kid, or without one, is fetched when no kept key verifies:
// once, and not again for a while.
func TestKeys_replacedUnderTheSameKidAreFetchedOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		clock := apitest.NewClock()
		with, without := apitest.NewIssuer(t), apitest.NewIssuer(t)
		with.Clock, without.Clock = clock.Now, clock.Now
		without.Keys[0].KeyID = ""
		without.Alter = func(header, _ map[string]any) { delete(header, "kid") }
		s := apitest.StartAt(t, opts, clock.Now, with.Configure("k1"), without.Configure("none"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for kid, i := range map[string]*apitest.Issuer{"k1": with, "none": without} {
			path := "/api/v1/auth/oauth/" + kid + "/authorize"
			i.Change(func() { i.Claims["email"] = fmt.Sprintf("ada%s@acme.test", kid) })
			s.Expect(http.StatusOK, s.Browser().Visit(path))
			replaced, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			i.Change(func() { i.Key, i.Keys[0].Key = replaced, &replaced.PublicKey })
			clock.Advance(11 * time.Second)
			if a := s.Browser().Visit(path); a.Status != http.StatusOK || i.Called("/keys") != 2 {
				t.Errorf("%s: %d %s after %d fetches", kid, a.Status, a.Body, i.Called("/keys"))
			}
			foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			i.Change(func() { i.Key = foreign })
			clock.Advance(11 * time.Second)
			for range 5 {
				s.Expect(http.StatusBadRequest, s.Browser().Visit(path))
			}
			if n := i.Called("/keys"); n != 3 {
				t.Errorf("%s: the keys were fetched %d times, want 3", kid, n)
			}
			// A failed fetch leaves the keys that are kept.
			i.Change(func() { i.Handlers["/keys"] = failing(http.StatusServiceUnavailable) })
			clock.Advance(11 * time.Second)
			s.Expect(http.StatusBadGateway, s.Browser().Visit(path))
			i.Change(func() { i.Key = replaced })
			s.Expect(http.StatusOK, s.Browser().Visit(path))
		}
	})
}
