package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// After a stolen secret was replaced without the previous one, a client secret cannot be decrypted:
// 503 at the beginning and at the end of a flow, with the row in the log, until another client
// secret is set.
func TestClientSecret_underAnotherSecretAnswers503(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		own := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, apitest.AllowLoopback)
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, _ := s.Login()
		path := createProvider(s, access, own.URL)
		id := strings.TrimPrefix(path, apitest.ProvidersPath+"/")
		b := s.Browser()
		callbacks := []string{b.UntilCallback(apitest.AuthorizePath),
			b.UntilCallback(apitest.AuthorizePath + "?redirect_uri=" + url.QueryEscape(apitest.ApplicationURL))}

		s.StopJobs() // one of them would make another key
		s.DB.Client.SigningKey.Delete().ExecX(principal.System(t.Context(), "test"))
		replaced := apitest.Start(t, opts, apitest.AllowLoopback, func(c *config.Config) {
			c.Secret = "another secret for tests that is long enough 4711"
		})
		moved := &apitest.Browser{Instance: replaced, Client: b.Client}
		b.Instance = replaced
		// An application gets the error by a redirect.
		if landed := moved.Visit(callbacks[1]).RedirectQuery(moved); landed.Get("error") != "temporarily_unavailable" ||
			landed.Get("error_code") != "unavailable" {
			t.Errorf("arrived with %v", landed)
		}
		for _, where := range []string{callbacks[0], apitest.AuthorizePath} {
			if a := replaced.Expect(http.StatusServiceUnavailable,
				moved.Visit(where)); a.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", where)
			}
		}
		if n := strings.Count(replaced.Logs.String(), "client secret of OAuth provider "+id); n != 3 {
			t.Errorf("the row is in the log %d times", n)
		}
		access, _ = replaced.Login()
		replaced.Expect(http.StatusOK, replaced.Call("PATCH", path, access,
			map[string]any{"client_secret": "a secret of the provider"}))
		replaced.Expect(http.StatusOK, replaced.Browser().Visit(apitest.AuthorizePath))
	})
}
