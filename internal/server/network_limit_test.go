package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"tenantry/ent/schema/settings"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// publicRequest is a request of an operation that takes no bearer token. It is limited if it writes
// rows for a client that presents no other credential either.
type publicRequest struct {
	path    string
	body    func(i int) any
	limited bool
}

func noBody(int) any { return nil }

var publicRequests = map[string]publicRequest{
	"Register": {"/api/v1/auth/register", func(i int) any {
		return apitest.Credentials(fmt.Sprintf("new%d@acme.test", i), apitest.OwnerPassword)
	}, true},
	"SignUp": {"/api/v1/signup", func(i int) any {
		return map[string]any{"tenant": map[string]any{"slug": fmt.Sprintf("new%d", i), "name": "New"},
			"email": "new@new.test", "password": apitest.OwnerPassword}
	}, true},
	"AuthorizeOAuth": {apitest.AuthorizePath, noBody, true},
	"Login": {"/api/v1/auth/login", func(int) any {
		return apitest.Credentials(apitest.OwnerEmail, "a wrong password")
	}, false},
	"Refresh": {"/api/v1/auth/refresh", func(int) any {
		return map[string]string{"refresh_token": "no token"}
	}, false},
	"Logout": {"/api/v1/auth/logout", func(int) any {
		return map[string]string{"refresh_token": "no token"}
	}, false},
	"ListOAuthOffers": {"/api/v1/auth/oauth/providers", noBody, false},
	"CallBackOAuth":   {"/api/v1/auth/oauth/corporate/callback?state=none&code=none", noBody, false},
	"PostOAuthCallback": {"/api/v1/auth/oauth/corporate/callback", func(int) any {
		return "state=none&code=none"
	}, false},
	"ExchangeOAuthCode": {"/api/v1/auth/oauth/exchange", func(int) any {
		return map[string]string{"code": "none"}
	}, false},
	"GetJWKS":      {"/.well-known/jwks.json", noBody, false},
	"GetHealth":    {"/healthz", noBody, false},
	"GetReadiness": {"/readyz", noBody, false},
}

// Every operation without a bearer token is limited per client network, or writes no row without
// another credential. A new operation of the contract requires an entry.
func TestNetworkLimit_coversAnonymousWrites(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		const limit, attempts = 4, 8
		i := apitest.NewIssuer(t)
		s := apitest.StartAt(t, opts, apitest.NewClock().Now, apitest.BehindProxy, i.Configure("corporate"),
			func(c *config.Config) {
				c.Signup, c.NetworkFlows, c.NetworkRegistrations = config.SignupOpen, limit, limit
			})
		s.ChangeSettings("acme", func(t *settings.Tenant) {
			apitest.OpenToProviders(t)
			t.Registration = settings.RegistrationOpen
		})
		for at, o := range declaredOperations(t) {
			if o.Security == nil || len(*o.Security) > 0 {
				continue
			}
			r, ok := publicRequests[o.OperationID]
			if !ok {
				t.Errorf("%s needs no bearer token, and this test does not know it", o.OperationID)
				continue
			}
			before, refused := s.WrittenRows(), 0
			for n := range attempts {
				a := s.CallFrom(o.method, r.path, fmt.Sprintf("198.51.100.%d", at), r.body(n))
				if a.Status == http.StatusTooManyRequests && a.Header.Get("Retry-After") != "" &&
					a.Field(t, "code") == "too_many_attempts" {
					refused++
				}
			}
			switch after := s.WrittenRows(); {
			case r.limited && refused != attempts-limit/2:
				t.Errorf("%s: %d of %d requests were refused", o.OperationID, refused, attempts)
			case r.limited && after == before:
				t.Errorf("%s: the requests that were not refused have written nothing", o.OperationID)
			case !r.limited && (after != before || refused != 0):
				t.Errorf("%s has written %d rows", o.OperationID, after-before)
			}
		}
	})
}
