package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/role"
	"tenantry/ent/user"
	"tenantry/internal/api"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// systemRole returns the id of a system role of the tenant of a user.
func (s *instance) systemRole(of person, name string) string {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	return s.db.Client.Role.Query().Where(role.TenantID(of.TenantID), role.Name(name)).OnlyIDX(ctx).String()
}

func (s *instance) makeRole(access, name string, permissions ...string) string {
	s.Helper()
	a := s.call("POST", "/api/v1/roles", access, map[string]any{"name": name, "permissions": permissions})
	return s.expect(http.StatusCreated, a).field(s.TB, "id")
}

func TestRoles_are_made_changed_and_deleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		owner, ada := s.join("acme", "second@acme.test", "owner"), s.join("acme", "ada@acme.test", "")
		id := s.makeRole(owner.access, "Cafe\u0301", "users:read", "users:read", "roles:read")
		got := s.expect(http.StatusOK, s.call("GET", "/api/v1/roles/"+id, owner.access, nil))
		if got.field(t, "name") != "Caf\u00e9" || !strings.Contains(string(got.body), `"permissions":["roles:read","users:read"]`) {
			t.Errorf("made %s", got.body)
		}
		s.expect(http.StatusConflict, s.call("POST", "/api/v1/roles", owner.access, map[string]any{"name": "Caf\u00e9", "permissions": []string{}}))
		s.expect(http.StatusConflict, s.call("PATCH", "/api/v1/roles/"+id, owner.access, map[string]any{"name": "admin"}))
		for _, permission := range []string{"users:readall", "USERS:READ", "*", "tenants:write", ""} {
			a := s.call("PATCH", "/api/v1/roles/"+id, owner.access, map[string]any{"permissions": []string{permission}})
			if s.expect(http.StatusUnprocessableEntity, a); !strings.Contains(string(a.body), "/permissions/0") {
				t.Errorf("%q: %s", permission, a.body)
			}
		}

		s.expect(http.StatusForbidden, s.call("GET", "/api/v1/roles", ada.access, nil))
		s.expect(http.StatusNoContent, s.call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles/"+id, owner.access, nil))
		s.expect(http.StatusOK, s.call("GET", "/api/v1/roles", ada.access, nil)) // by the token that was issued before
		s.expect(http.StatusOK, s.call("PATCH", "/api/v1/roles/"+id, owner.access, map[string]any{"permissions": []string{"users:read"}, "description": "x"}))
		s.expect(http.StatusForbidden, s.call("GET", "/api/v1/roles", ada.access, nil))

		s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/roles/"+id, owner.access, nil))
		s.expect(http.StatusNotFound, s.call("DELETE", "/api/v1/roles/"+id, owner.access, nil))
		var listed api.Roles
		if err := json.Unmarshal(s.expect(http.StatusOK, s.call("GET", "/api/v1/roles", owner.access, nil)).body, &listed); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range listed.Items {
			names = append(names, r.Name)
		}
		if !slices.Equal(names, []string{"admin", "member", "owner"}) {
			t.Errorf("listed %v", names)
		}
	})
}

// ASVS 8.2.1: nobody grants, edits, takes or assigns more than they hold.
func TestNobody_hands_on_more_than_they_hold(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		owner, admin, member := s.join("acme", "second@acme.test", "owner"), s.join("acme", "admin@acme.test", "admin"), s.join("acme", "member@acme.test", "member")
		strong, weak := s.makeRole(owner.access, "strong", "tenant:write"), s.makeRole(owner.access, "weak", "users:read")
		ofMember, ofOwner := "/api/v1/users/"+member.ID.String()+"/roles", "/api/v1/users/"+owner.ID.String()+"/roles"
		ofAdmin, ofSuperuser := "/api/v1/users/"+admin.ID.String()+"/roles", "/api/v1/users/"+s.owner().ID.String()+"/roles"
		ids := func(ids ...string) any { return map[string]any{"role_ids": ids} }
		for name, a := range map[string]answer{
			"make a role above oneself":         s.call("POST", "/api/v1/roles", admin.access, map[string]any{"name": "x", "permissions": []string{"users:read", "tenant:write"}}),
			"raise a role above oneself":        s.call("PATCH", "/api/v1/roles/"+weak, admin.access, map[string]any{"permissions": []string{"tenant:write"}}),
			"rename a role above oneself":       s.call("PATCH", "/api/v1/roles/"+strong, admin.access, map[string]any{"name": "mine"}),
			"delete a role above oneself":       s.call("DELETE", "/api/v1/roles/"+strong, admin.access, nil),
			"change a system role":              s.call("PATCH", "/api/v1/roles/"+s.systemRole(owner, "member"), owner.access, map[string]any{"permissions": []string{}}),
			"delete a system role":              s.call("DELETE", "/api/v1/roles/"+s.systemRole(owner, "member"), owner.access, nil),
			"assign a role above oneself":       s.call("PUT", ofMember+"/"+strong, admin.access, nil),
			"promote oneself":                   s.call("PUT", ofAdmin+"/"+s.systemRole(owner, "owner"), admin.access, nil),
			"assign a set with one above":       s.call("PUT", ofMember, admin.access, ids(weak, strong)),
			"demote who is above":               s.call("PUT", ofOwner, admin.access, ids(weak)),
			"take from who is above":            s.call("DELETE", ofOwner+"/"+s.systemRole(owner, "owner"), admin.access, nil),
			"give to who is above":              s.call("PUT", ofOwner+"/"+weak, admin.access, nil),
			"change a superuser":                s.call("PUT", ofSuperuser+"/"+weak, owner.access, nil),
			"act without any permission at all": s.call("PUT", ofMember+"/"+weak, member.access, nil),
		} {
			if a.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		s.expect(http.StatusNoContent, s.call("PUT", ofMember+"/"+weak, admin.access, nil))
		s.expect(http.StatusNoContent, s.call("PUT", ofMember+"/"+weak, admin.access, nil))
		s.expect(http.StatusOK, s.call("PUT", ofMember, admin.access, ids(s.systemRole(owner, "admin"))))
		s.expect(http.StatusNoContent, s.call("DELETE", ofMember+"/"+weak, admin.access, nil))
		a := s.expect(http.StatusOK, s.call("POST", "/api/v1/permissions/check", admin.access, map[string]any{"permissions": []string{"users:read", "tenant:write", "users:readall"}}))
		if want := `{"items":[{"granted":true,"permission":"users:read"},{"granted":false,"permission":"tenant:write"},{"granted":false,"permission":"users:readall"}]}`; strings.TrimSpace(string(a.body)) != want {
			t.Errorf("checked %s", a.body)
		}
		a = s.expect(http.StatusOK, s.call("GET", "/api/v1/permissions", member.access, nil))
		for _, p := range roles.All() {
			if !strings.Contains(string(a.body), `"`+p+`"`) {
				t.Errorf("%s is not listed: %s", p, a.body)
			}
		}
	})
}

// CVE-2025-14777: the parent and the child are of one tenant, or nothing is done.
func TestRoles_of_two_tenants_never_meet(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		owner, member := s.join("acme", "second@acme.test", "owner"), s.join("acme", "member@acme.test", "member")
		stranger := s.join("other", "owner@other.test", "owner")
		foreign, own := s.makeRole(stranger.access, "foreign", "users:read"), s.makeRole(owner.access, "own", "users:read")
		of := func(p person) string { return "/api/v1/users/" + p.ID.String() + "/roles" }
		for name, a := range map[string]answer{
			"a foreign role":      s.call("PUT", of(member)+"/"+foreign, owner.access, nil),
			"a foreign user":      s.call("PUT", of(stranger)+"/"+own, owner.access, nil),
			"both foreign":        s.call("PUT", of(stranger)+"/"+foreign, owner.access, nil),
			"take a foreign role": s.call("DELETE", of(member)+"/"+foreign, owner.access, nil),
			"set of a foreigner":  s.call("PUT", of(stranger), owner.access, map[string]any{"role_ids": []string{own}}),
			"change a foreign":    s.call("PATCH", "/api/v1/roles/"+foreign, owner.access, map[string]any{"name": "mine"}),
			"nothing":             s.call("GET", "/api/v1/roles/"+uuid.NewString(), owner.access, nil),
		} {
			if a.status != http.StatusNotFound {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		a := s.expect(http.StatusUnprocessableEntity, s.call("PUT", of(member), owner.access, map[string]any{"role_ids": []string{own, foreign}}))
		if !strings.Contains(string(a.body), "/role_ids/1") || strings.Contains(string(a.body), "/role_ids/0") {
			t.Errorf("refused with %s", a.body)
		}
		ctx := principal.System(t.Context(), "test")
		if names := s.db.Client.User.Query().Where(user.ID(member.ID)).QueryRoles().Select(role.FieldName).StringsX(ctx); !slices.Equal(names, []string{"member"}) {
			t.Errorf("half of it was done: %v", names)
		}
	})
}

// Whoever is first takes the other's role away; the other finds that there would be no owner left.
func TestOwners_who_remove_each_other_leave_one(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := start(t, opts), start(t, opts)
		first.found("duel")
		one, two := first.join("duel", "one@duel.test", "owner"), first.join("duel", "two@duel.test", "owner")
		role := first.systemRole(one, "owner")
		path := func(of person) string { return "/api/v1/users/" + of.ID.String() + "/roles/" + role }
		for range 100 {
			var both sync.WaitGroup
			statuses := make([]int, 2)
			both.Go(func() { statuses[0] = first.call("DELETE", path(two), one.access, nil).status })
			both.Go(func() { statuses[1] = second.call("DELETE", path(one), two.access, nil).status })
			both.Wait()
			slices.Sort(statuses)
			if statuses[0] != http.StatusNoContent || !slices.Contains([]int{http.StatusForbidden, http.StatusConflict}, statuses[1]) {
				t.Fatalf("statuses %v", statuses)
			}
			for _, p := range []person{one, two} { // whoever is left gives it back
				for _, giver := range []person{one, two} {
					first.call("PUT", path(p), giver.access, nil)
				}
			}
		}
		first.expect(http.StatusNoContent, first.call("DELETE", path(two), one.access, nil))
		first.expect(http.StatusConflict, first.call("DELETE", path(one), one.access, nil))
	})
}

// Two superusers, each in a tenant of their own with another owner, take each other and themselves. One is left.
func TestLast_superuser_stays(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		s.found("other")
		s.join("acme", "second@acme.test", "owner")
		s.join("other", "second@other.test", "owner")
		root, ctx := s.signIn("acme", s.owner()), principal.System(t.Context(), "test")
		path := "/api/v1/users/" + root.ID.String()
		for _, a := range []answer{s.call("DELETE", path, root.access, nil), s.call("PATCH", path, root.access, map[string]any{"is_active": false})} {
			if a.status != http.StatusConflict || a.field(t, "code") != "last_superuser" {
				t.Errorf("the last superuser: %d %s", a.status, a.body)
			}
		}
		other := s.join("other", "root@other.test", "owner")
		for range 10 {
			s.db.Client.User.Update().Where(user.IDIn(root.ID, other.ID)).SetIsActive(true).SetIsSuperuser(true).ExecX(ctx)
			root, other = s.signIn("acme", root.User), s.signIn("other", other.User)
			var both sync.WaitGroup
			disable := func(by person, slug string, target uuid.UUID) {
				a := s.call("PATCH", "/api/v1/users/"+target.String()+"?tenant="+slug, by.access, map[string]any{"is_active": false})
				if !slices.Contains([]int{http.StatusOK, http.StatusConflict, http.StatusUnauthorized}, a.status) {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
			both.Go(func() { disable(root, "other", other.ID) })
			both.Go(func() { disable(other, "acme", root.ID) })
			both.Wait()
			if n := s.db.Client.User.Query().Where(user.IsSuperuser(true), user.IsActive(true)).CountX(ctx); n != 1 {
				t.Fatalf("%d superusers are left", n)
			}
		}
	})
}
