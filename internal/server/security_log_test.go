package server_test

import (
	"net/http"
	"testing"

	"tenantry/ent/tenant"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

// L-02: each security event has the request ID, the tenant of the act and the tenant of the user.
func TestSecurityEvent_hasRequestIDAndTenants(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := apitest.NewIssuer(t)
		s := apitest.Start(t, opts, i.Configure("corporate"), func(c *config.Config) { c.RefreshGrace = 0 })
		s.CreateTenant("other")
		other := s.DB.Client.Tenant.Query().Where(tenant.Slug("other")).OnlyX(principal.System(t.Context(), "test"))
		root := s.SignIn("acme", s.Owner())
		linked := s.Expect(http.StatusNoContent, s.Browser().Link(apitest.LinkPath, root.Access))
		unlinked := s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/auth/oauth/link", root.Access, nil))
		acted := s.Call("GET", "/api/v1/tenant?tenant=other", root.Access, nil)
		old := root.Refresh
		s.Expect(http.StatusOK, s.Refresh(old))
		reused := s.Expect(http.StatusUnauthorized, s.Refresh(old))
		for event, want := range map[string]struct {
			answer       apitest.Answer
			tenant, home string
		}{
			"oauth_linked":   {linked, root.TenantID.String(), root.TenantID.String()},
			"oauth_unlinked": {unlinked, root.TenantID.String(), root.TenantID.String()},
			"superuser_act":  {acted, other.ID.String(), root.TenantID.String()},
			"refresh_reuse":  {reused, root.TenantID.String(), root.TenantID.String()},
		} {
			lines := s.Events(event)
			if len(lines) != 1 {
				t.Fatalf("%s: %v", event, lines)
			}
			line := lines[0]
			id := want.answer.Header.Get("X-Request-Id")
			if id == "" || line["request_id"] != id || line["tenant_id"] != want.tenant ||
				line["home_tenant_id"] != want.home ||
				line["user_id"] != root.ID.String() {
				t.Errorf("%s of request %s: %v", event, id, line)
			}
		}
	})
}

func TestSecurityEvent_lineIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		out := &written{}
		log, _ := server.NewLogger(config.Config{LogFormat: format}, out)
		log.With("a", 1).Info("identity unlinked", "event", "oauth_unlinked")
		if got := out.all(); len(got) != 1 {
			t.Errorf("%s: %q", format, got)
		}
	}
}
