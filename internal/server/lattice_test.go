package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/roleassignment"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// rank is a role of the lattice with a user who acts and one who is acted on.
type rank struct {
	name, id      string
	system        bool
	permissions   []string
	actor, target person
}

// covers reports whether an actor of the rank holds every one of the permissions.
func (r rank) covers(permissions []string) bool {
	return !slices.ContainsFunc(permissions, func(p string) bool { return !slices.Contains(r.permissions, p) })
}

// ranks makes the lattice: system roles, and roles of which neither is above the other. The last
// one is the superuser's, who has no role.
func (s *instance) ranks() []rank {
	s.Helper()
	founder := s.join("acme", "founder@acme.test", "owner") // there is always another owner
	all := []rank{
		{name: "member"}, {name: "admin"}, {name: "owner"},
		{name: "clerk", permissions: []string{roles.UsersWrite}},
		{name: "designer", permissions: []string{roles.RolesWrite, roles.UsersRead}},
		{name: "manager", permissions: []string{roles.UsersWrite, roles.RolesWrite, roles.SessionsWrite, roles.TenantWrite}},
	}
	for i := range all {
		r := &all[i]
		for _, system := range roles.System() {
			if system.Name == r.name {
				r.id, r.system, r.permissions = s.systemRole(founder, r.name), true, system.Permissions
			}
		}
		if !r.system {
			r.id = s.makeRole(founder.access, r.name, r.permissions...)
		}
		r.actor, r.target = s.join("acme", "actor-"+r.name+"@acme.test", ""), s.join("acme", "target-"+r.name+"@acme.test", "")
		for _, p := range []person{r.actor, r.target} {
			s.expect(http.StatusNoContent, s.call("PUT", "/api/v1/users/"+p.ID.String()+"/roles/"+r.id, founder.access, nil))
		}
	}
	root := s.signIn("acme", s.owner())
	second := s.join("acme", "root@acme.test", "")
	s.db.Client.User.UpdateOneID(second.ID).SetIsSuperuser(true).ExecX(principal.System(s.Context(), "test"))
	return append(all, rank{name: "superuser", permissions: append(roles.All(), roles.TenantsRead, roles.TenantsWrite), actor: root, target: second})
}

// Every actor on every target with every role: 403 exactly where the rule says. The rule is that of
// ASVS 8.2.1: the actor holds the permission of the operation, all that the target holds, and all
// that the role holds.
func TestLattice_everyActorTargetAndRole(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		all := s.ranks()
		ctx := principal.NewContext(t.Context(), principal.InTenant(s.owner().TenantID))
		cells := 0
		expect := func(what string, allowed bool, a answer) {
			t.Helper()
			cells++
			if allowed == (a.status == http.StatusForbidden) || a.status >= 300 && a.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		for _, actor := range all {
			by := actor.actor.access
			for _, target := range all {
				user := "/api/v1/users/" + target.target.ID.String()
				may := actor.covers(append([]string{roles.UsersWrite}, target.permissions...))
				who := actor.name + " on " + target.name
				expect(who+": rename", may, s.call("PATCH", user, by, map[string]any{"full_name": "x"}))
				expect(who+": change the address", may, s.call("PATCH", user, by, map[string]any{"email": "target-" + uuid.NewString() + "@acme.test"}))
				expect(who+": deactivate", may, s.call("PATCH", user, by, map[string]any{"is_active": false}))
				expect(who+": activate", may, s.call("PATCH", user, by, map[string]any{"is_active": true}))
				expect(who+": end the sessions", actor.covers(append([]string{roles.SessionsWrite}, target.permissions...)), s.call("DELETE", user+"/sessions", by, nil))
				for _, role := range all[:len(all)-1] {
					what := who + " with " + role.name
					grants := may && actor.covers(role.permissions)
					expect(what+": assign", grants, s.call("PUT", user+"/roles/"+role.id, by, nil))
					if role.name != target.name { // back to one role
						s.db.Client.RoleAssignment.Delete().Where(roleassignment.UserID(target.target.ID), roleassignment.RoleID(uuid.MustParse(role.id))).ExecX(ctx)
					}
					ids := []string{role.id}
					if target.id != "" {
						ids = append(ids, target.id)
					}
					expect(what+": set", grants, s.call("PUT", user+"/roles", by, map[string]any{"role_ids": ids}))
					if role.name != target.name {
						expect(what+": take away", may, s.call("DELETE", user+"/roles/"+role.id, by, nil))
						s.db.Client.RoleAssignment.Delete().Where(roleassignment.UserID(target.target.ID), roleassignment.RoleID(uuid.MustParse(role.id))).ExecX(ctx)
					}
				}
			}
		}
		t.Logf("%d cells", cells)
	})
}

// Roles themselves: created with what the actor holds, edited from and to what it holds, and a
// system role by nobody.
func TestLattice_everyActorAndEditOfARole(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		all := s.ranks()
		superuser := all[len(all)-1].actor.access
		n := 0
		expect := func(what string, allowed bool, a answer) {
			t.Helper()
			if allowed == (a.status == http.StatusForbidden) || a.status >= 300 && a.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		for _, actor := range all {
			by := actor.actor.access
			writes := actor.covers([]string{roles.RolesWrite})
			for _, to := range all[:len(all)-1] {
				n++
				a := s.call("POST", "/api/v1/roles", by, map[string]any{"name": fmt.Sprint("new ", n), "permissions": orEmpty(to.permissions)})
				expect(actor.name+" creates "+to.name, writes && actor.covers(to.permissions), a)
				if a.status == http.StatusCreated {
					s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/roles/"+a.field(t, "id"), superuser, nil))
				}
				if to.system {
					for _, a := range []answer{
						s.call("PATCH", "/api/v1/roles/"+to.id, by, map[string]any{"name": "x"}), s.call("DELETE", "/api/v1/roles/"+to.id, by, nil),
						s.call("PATCH", "/api/v1/roles/"+to.id, by, map[string]any{"permissions": []string{}}), s.call("PATCH", "/api/v1/roles/"+to.id, by, map[string]any{"description": "x"}),
					} {
						expect(actor.name+" changes the system role "+to.name, false, a)
					}
				}
				for _, from := range all[:len(all)-1] {
					n++
					created := s.call("POST", "/api/v1/roles", superuser, map[string]any{"name": fmt.Sprint("old ", n), "permissions": orEmpty(from.permissions)})
					path := "/api/v1/roles/" + s.expect(http.StatusCreated, created).field(t, "id")
					what := actor.name + " edits " + from.name + " to " + to.name
					expect(what, writes && actor.covers(from.permissions) && actor.covers(to.permissions), s.call("PATCH", path, by, map[string]any{"permissions": orEmpty(to.permissions)}))
					s.expect(http.StatusOK, s.call("PATCH", path, superuser, map[string]any{"permissions": orEmpty(from.permissions)}))
					expect(what+": rename", writes && actor.covers(from.permissions), s.call("PATCH", path, by, map[string]any{"name": fmt.Sprint("renamed ", n)}))
					expect(what+": delete", writes && actor.covers(from.permissions), s.call("DELETE", path, by, nil))
					s.call("DELETE", path, superuser, nil)
				}
			}
		}
	})
}

// orEmpty is a list of permissions as JSON has it.
func orEmpty(permissions []string) []string { return append([]string{}, permissions...) }
