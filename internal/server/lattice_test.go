package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/roleassignment"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// rank is a role of the lattice with two users: the actor and the target.
type rank struct {
	name, id      string
	system        bool
	permissions   []string
	actor, target apitest.Account
}

// covers reports whether an actor of the rank has all of the permissions.
func (r rank) covers(permissions []string) bool {
	return !slices.ContainsFunc(permissions, func(p string) bool { return !slices.Contains(r.permissions, p) })
}

// ranks creates the lattice: system roles, and incomparable custom roles. The last rank is a
// superuser without a role.
func ranks(s *apitest.Instance) []rank {
	s.Helper()
	founder := s.CreateUser("acme", "founder@acme.test", "owner") // there is always another owner
	all := []rank{
		{name: "member"}, {name: "admin"}, {name: "owner"},
		{name: "clerk", permissions: []string{roles.UsersWrite}},
		{name: "designer", permissions: []string{roles.RolesWrite, roles.UsersRead}},
		{name: "manager", permissions: []string{roles.UsersWrite, roles.RolesWrite, roles.SessionsWrite,
			roles.TenantWrite}},
	}
	for i := range all {
		r := &all[i]
		for _, system := range roles.System() {
			if system.Name == r.name {
				r.id, r.system, r.permissions = s.SystemRole(founder, r.name), true, system.Permissions
			}
		}
		if !r.system {
			r.id = s.CreateRole(founder.Access, r.name, r.permissions...)
		}
		r.actor, r.target = s.CreateUser("acme", "actor-"+r.name+"@acme.test", ""),
			s.CreateUser("acme", "target-"+r.name+"@acme.test", "")
		for _, p := range []apitest.Account{r.actor, r.target} {
			s.Expect(http.StatusNoContent, s.Call("PUT", "/api/v1/users/"+p.ID.String()+"/roles/"+r.id, founder.Access,
				nil))
		}
	}
	root := s.SignIn("acme", s.Owner())
	second := s.CreateUser("acme", "root@acme.test", "")
	s.DB.Client.User.UpdateOneID(second.ID).SetIsSuperuser(true).ExecX(principal.System(s.Context(), "test"))
	return append(all, rank{name: "superuser", permissions: append(roles.All(), roles.TenantsRead, roles.TenantsWrite),
		actor: root, target: second})
}

// Every actor, target and role: 403 exactly if the rule of ASVS 8.2.1 is violated. The actor must
// have the permission of the operation, and all permissions of the target and of the role.
func TestLattice_everyActorTargetAndRole(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		all := ranks(s)
		ctx := principal.NewContext(t.Context(), principal.InTenant(s.Owner().TenantID))
		cells := 0
		expect := func(what string, allowed bool, a apitest.Answer) {
			t.Helper()
			cells++
			if allowed == (a.Status == http.StatusForbidden) || a.Status >= 300 && a.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", what, a.Status, a.Body)
			}
		}
		for _, actor := range all {
			by := actor.actor.Access
			for _, target := range all {
				user := "/api/v1/users/" + target.target.ID.String()
				may := actor.covers(append([]string{roles.UsersWrite}, target.permissions...))
				who := actor.name + " on " + target.name
				expect(who+": rename", may, s.Call("PATCH", user, by, map[string]any{"full_name": "x"}))
				expect(who+": change the address", may,
					s.Call("PATCH", user, by, map[string]any{"email": "target-" + uuid.NewString() + "@acme.test"}))
				expect(who+": deactivate", may, s.Call("PATCH", user, by, map[string]any{"is_active": false}))
				expect(who+": activate", may, s.Call("PATCH", user, by, map[string]any{"is_active": true}))
				expect(who+": end the sessions",
					actor.covers(append([]string{roles.SessionsWrite}, target.permissions...)),
					s.Call("DELETE", user+"/sessions", by, nil))
				for _, role := range all[:len(all)-1] {
					what := who + " with " + role.name
					grants := may && actor.covers(role.permissions)
					expect(what+": assign", grants, s.Call("PUT", user+"/roles/"+role.id, by, nil))
					if role.name != target.name { // back to one role
						s.DB.Client.RoleAssignment.Delete().Where(roleassignment.UserID(target.target.ID),
							roleassignment.RoleID(uuid.MustParse(role.id))).ExecX(ctx)
					}
					ids := []string{role.id}
					if target.id != "" {
						ids = append(ids, target.id)
					}
					expect(what+": set", grants, s.Call("PUT", user+"/roles", by, map[string]any{"role_ids": ids}))
					if role.name != target.name {
						expect(what+": take away", may, s.Call("DELETE", user+"/roles/"+role.id, by, nil))
						s.DB.Client.RoleAssignment.Delete().Where(roleassignment.UserID(target.target.ID),
							roleassignment.RoleID(uuid.MustParse(role.id))).ExecX(ctx)
					}
				}
			}
		}
		t.Logf("%d cells", cells)
	})
}

// Roles: an actor creates and changes only roles whose permissions, old and new, the actor has.
// System roles cannot be changed.
func TestLattice_everyActorAndRoleChange(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		all := ranks(s)
		superuser := all[len(all)-1].actor.Access
		n := 0
		expect := func(what string, allowed bool, a apitest.Answer) {
			t.Helper()
			if allowed == (a.Status == http.StatusForbidden) || a.Status >= 300 && a.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", what, a.Status, a.Body)
			}
		}
		for _, actor := range all {
			by := actor.actor.Access
			writes := actor.covers([]string{roles.RolesWrite})
			for _, to := range all[:len(all)-1] {
				n++
				a := s.Call("POST", "/api/v1/roles", by, map[string]any{"name": fmt.Sprint("new ", n),
					"permissions": orEmpty(to.permissions)})
				expect(actor.name+" creates "+to.name, writes && actor.covers(to.permissions), a)
				if a.Status == http.StatusCreated {
					s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/roles/"+a.Field(t, "id"), superuser, nil))
				}
				if to.system {
					for _, a := range []apitest.Answer{
						s.Call("PATCH", "/api/v1/roles/"+to.id, by, map[string]any{"name": "x"}),
						s.Call("DELETE", "/api/v1/roles/"+to.id, by, nil),
						s.Call("PATCH", "/api/v1/roles/"+to.id, by, map[string]any{"permissions": []string{}}),
						s.Call("PATCH", "/api/v1/roles/"+to.id, by, map[string]any{"description": "x"}),
					} {
						expect(actor.name+" changes the system role "+to.name, false, a)
					}
				}
				for _, from := range all[:len(all)-1] {
					n++
					created := s.Call("POST", "/api/v1/roles", superuser, map[string]any{"name": fmt.Sprint("old ", n),
						"permissions": orEmpty(from.permissions)})
					path := "/api/v1/roles/" + s.Expect(http.StatusCreated, created).Field(t, "id")
					what := actor.name + " edits " + from.name + " to " + to.name
					expect(what, writes && actor.covers(from.permissions) && actor.covers(to.permissions),
						s.Call("PATCH", path, by, map[string]any{"permissions": orEmpty(to.permissions)}))
					s.Expect(http.StatusOK,
						s.Call("PATCH", path, superuser, map[string]any{"permissions": orEmpty(from.permissions)}))
					expect(what+": rename", writes && actor.covers(from.permissions),
						s.Call("PATCH", path, by, map[string]any{"name": fmt.Sprint("renamed ", n)}))
					expect(what+": delete", writes && actor.covers(from.permissions), s.Call("DELETE", path, by, nil))
					s.Call("DELETE", path, superuser, nil)
				}
			}
		}
	})
}

// orEmpty is a list of permissions as JSON has it.
func orEmpty(permissions []string) []string { return append([]string{}, permissions...) }
