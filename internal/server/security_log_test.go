package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tenantry/ent/tenant"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

// events returns the lines of the log that tell of a security event.
func (s *instance) events(event string) (lines []map[string]any) {
	s.Helper()
	for line := range strings.Lines(s.log.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			s.Fatalf("%q: %v", line, err)
		}
		if members["event"] == event {
			lines = append(lines, members)
		}
	}
	return lines
}

// L-02: request, acting tenant and home tenant of each security event.
func TestSecurityEvent_lineNamesRequestAndTenants(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		i := newIssuer(t)
		s := start(t, opts, i.offer("corporate"), func(c *config.Config) { c.RefreshGrace = 0 })
		s.found("other")
		other := s.db.Client.Tenant.Query().Where(tenant.Slug("other")).OnlyX(principal.System(t.Context(), "test"))
		root := s.signIn("acme", s.owner())
		linked := s.expect(http.StatusNoContent, s.browser().linked(linkPath, root.access))
		unlinked := s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/auth/oauth/link", root.access, nil))
		acted := s.call("GET", "/api/v1/tenant?tenant=other", root.access, nil)
		old := root.refresh
		s.expect(http.StatusOK, s.refresh(old))
		reused := s.expect(http.StatusUnauthorized, s.refresh(old))
		for event, want := range map[string]struct {
			answer       answer
			tenant, home string
		}{
			"oauth_linked":   {linked, root.TenantID.String(), root.TenantID.String()},
			"oauth_unlinked": {unlinked, root.TenantID.String(), root.TenantID.String()},
			"superuser_act":  {acted, other.ID.String(), root.TenantID.String()},
			"refresh_reuse":  {reused, root.TenantID.String(), root.TenantID.String()},
		} {
			lines := s.events(event)
			if len(lines) != 1 {
				t.Fatalf("%s: %v", event, lines)
			}
			line := lines[0]
			id := want.answer.header.Get("X-Request-Id")
			if id == "" || line["request_id"] != id || line["tenant_id"] != want.tenant || line["home_tenant_id"] != want.home ||
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
