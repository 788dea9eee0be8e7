package oauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// The token endpoint must answer what is required: an ID token, or at an OAuth 2.0 server an access
// token.
func TestToken_optionalMembersMayBeWrong(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		i.Userinfo = map[string]any{"sub": "sub-1", "email": "ada@acme.test"}
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for name, change := range map[string]func(map[string]any){
			"no_access_token":          func(d map[string]any) { delete(d, "access_token") }, // Azure AD B2C
			"access_token_of_a_number": func(d map[string]any) { d["access_token"] = 1 },
			"expiry_that_is_text":      func(d map[string]any) { d["expires_in"] = "soon" },
			"no_token_type":            func(d map[string]any) { delete(d, "token_type") },
			"list_of_scopes":           func(d map[string]any) { d["scope"] = []string{"openid"} },
		} {
			i.Change(func() { i.Grant = change })
			if a := s.Browser().Visit(apitest.AuthorizePath); a.Status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		for name, change := range map[string]func(map[string]any){
			"no_id_token": func(d map[string]any) {
				delete(d, "id_token")
			}, "id_token_of_a_number": func(d map[string]any) { d["id_token"] = 1 },
		} {
			i.Change(func() { i.Grant = change })
			if a := s.Browser().Visit(apitest.AuthorizePath); a.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// Some providers refuse a code with the status 200, and a code of their own for it: that is no
// failure of theirs.
func TestToken_refusedCodeIsInvalidGrant(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, apitest.AllowLoopback, func(c *config.Config) {
			c.OAuthProviders = []config.OAuthProvider{{
				Name: "corporate", Kind: "oauth2", ClientID: "tenantry", ClientSecret: "a secret of the provider",
				AuthorizationEndpoint: i.URL + "/authorize",
				TokenEndpoint:         i.URL + "/token", UserinfoEndpoint: i.URL + "/userinfo",
			}}
		})
		s.ChangeSettings("acme", apitest.OpenToProviders)
		for _, test := range []struct {
			answer http.HandlerFunc
			status int
			code   string
		}{
			{text(`{"error":"bad_verification_code","error_description":"canary"}`), http.StatusBadRequest,
				"invalid_grant"},
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
			i.Change(func() { i.Handlers["/token"] = test.answer })
			if a := s.Expect(test.status, s.Browser().Visit(apitest.AuthorizePath)); a.Field(t, "code") != test.code ||
				strings.Contains(string(a.Body), "canary") {
				t.Errorf("refused with %s", a.Body)
			}
		}
		i.Change(func() {
			i.Userinfo = map[string]any{"id": 4711, "email": "ada@acme.test"}
			i.Handlers["/token"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
				fmt.Fprint(w, "access_token=access&scope=user&token_type=bearer")
			}
		})
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
	})
}
