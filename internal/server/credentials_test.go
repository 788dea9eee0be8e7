package server_test

import (
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// no row contains a usable token.
func TestTokens_areInNoTable(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"))
		s.ChangeSettings("acme", apitest.OpenToProviders)
		access, refresh := s.Login()
		for range 5 {
			refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token")
		}
		b := s.Browser()
		b.Visit(apitest.AuthorizePath + "?redirect_uri=" + apitest.ApplicationURL)                     // a code
		b.UntilCallback(s.Browser().BeginLink(apitest.LinkPath, access).Field(t, "authorization_url")) // a state
		for table, rows := range dump(s) {
			s.Secrets.AssertAbsent(t, table+": "+strings.Join(rows, "\n"))
		}
	})
}
