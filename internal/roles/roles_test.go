package roles_test

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
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

func TestRoles_createdChangedAndDeleted(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner, ada := s.CreateUser("acme", "second@acme.test", "owner"), s.CreateUser("acme", "ada@acme.test", "")
		id := s.CreateRole(owner.Access, "Cafe\u0301", "users:read", "users:read", "roles:read")
		got := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/roles/"+id, owner.Access, nil))
		if got.Field(t, "name") != "Caf\u00e9" ||
			!strings.Contains(string(got.Body), `"permissions":["roles:read","users:read"]`) {
			t.Errorf("created %s", got.Body)
		}
		s.Expect(http.StatusConflict, s.Call("POST", "/api/v1/roles", owner.Access,
			map[string]any{"name": "Caf\u00e9", "permissions": []string{}}))
		s.Expect(http.StatusConflict, s.Call("PATCH", "/api/v1/roles/"+id, owner.Access,
			map[string]any{"name": "admin"}))
		for _, permission := range []string{"users:readall", "USERS:READ", "*", "tenants:write", ""} {
			a := s.Call("PATCH", "/api/v1/roles/"+id, owner.Access, map[string]any{"permissions": []string{permission}})
			if s.Expect(http.StatusUnprocessableEntity, a); !strings.Contains(string(a.Body), "/permissions/0") {
				t.Errorf("%q: %s", permission, a.Body)
			}
		}

		s.Expect(http.StatusForbidden, s.Call("GET", "/api/v1/roles", ada.Access, nil))
		s.Expect(http.StatusNoContent, s.Call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles/"+id, owner.Access, nil))
		s.Expect(http.StatusOK, s.Call("GET", "/api/v1/roles", ada.Access, nil)) // with the token issued before
		s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/roles/"+id, owner.Access,
			map[string]any{"permissions": []string{"users:read"}, "description": "x"}))
		s.Expect(http.StatusForbidden, s.Call("GET", "/api/v1/roles", ada.Access, nil))

		s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/roles/"+id, owner.Access, nil))
		s.Expect(http.StatusNotFound, s.Call("DELETE", "/api/v1/roles/"+id, owner.Access, nil))
		var listed api.Roles
		if err := json.Unmarshal(s.Expect(http.StatusOK, s.Call("GET", "/api/v1/roles", owner.Access, nil)).Body,
			&listed); err != nil {
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

// ASVS 8.2.1: callers cannot grant or revoke permissions that they lack.
func TestRoles_callerCannotGrantOrRevokeLackingPermissions(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		owner, admin, member := s.CreateUser("acme", "second@acme.test", "owner"),
			s.CreateUser("acme", "admin@acme.test", "admin"), s.CreateUser("acme", "member@acme.test", "member")
		strong, weak := s.CreateRole(owner.Access, "strong", "tenant:write"),
			s.CreateRole(owner.Access, "weak", "users:read")
		ofMember, ofOwner := "/api/v1/users/"+member.ID.String()+"/roles", "/api/v1/users/"+owner.ID.String()+"/roles"
		ofAdmin, ofSuperuser := "/api/v1/users/"+admin.ID.String()+"/roles", "/api/v1/users/"+s.Owner().ID.String()+
			"/roles"
		ids := func(ids ...string) any { return map[string]any{"role_ids": ids} }
		for name, a := range map[string]apitest.Answer{
			"create a role with a permission the caller lacks": s.Call("POST", "/api/v1/roles", admin.Access,
				map[string]any{"name": "x", "permissions": []string{"users:read", "tenant:write"}}),
			"add a permission the caller lacks": s.Call("PATCH", "/api/v1/roles/"+weak, admin.Access,
				map[string]any{"permissions": []string{"tenant:write"}}),
			"rename a role with more permissions": s.Call("PATCH", "/api/v1/roles/"+strong, admin.Access,
				map[string]any{"name": "mine"}),
			"delete a role with more permissions": s.Call("DELETE", "/api/v1/roles/"+strong, admin.Access, nil),
			"change a system role": s.Call("PATCH", "/api/v1/roles/"+s.SystemRole(owner, "member"),
				owner.Access, map[string]any{"permissions": []string{}}),
			"delete a system role": s.Call("DELETE", "/api/v1/roles/"+s.SystemRole(owner, "member"),
				owner.Access, nil),
			"assign a role with more permissions": s.Call("PUT", ofMember+"/"+strong, admin.Access, nil),
			"promote oneself": s.Call("PUT", ofAdmin+"/"+s.SystemRole(owner, "owner"), admin.Access,
				nil),
			"assign two roles, one with more permissions": s.Call("PUT", ofMember, admin.Access, ids(weak, strong)),
			"replace the roles of an owner":               s.Call("PUT", ofOwner, admin.Access, ids(weak)),
			"remove a role from an owner": s.Call("DELETE", ofOwner+"/"+s.SystemRole(owner, "owner"),
				admin.Access, nil),
			"assign a role to an owner":     s.Call("PUT", ofOwner+"/"+weak, admin.Access, nil),
			"change a superuser":            s.Call("PUT", ofSuperuser+"/"+weak, owner.Access, nil),
			"assign without any permission": s.Call("PUT", ofMember+"/"+weak, member.Access, nil),
		} {
			if a.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		for range 2 { // idempotent
			s.Expect(http.StatusNoContent, s.Call("PUT", ofMember+"/"+weak, admin.Access, nil))
		}
		s.Expect(http.StatusOK, s.Call("PUT", ofMember, admin.Access, ids(s.SystemRole(owner, "admin"))))
		s.Expect(http.StatusNoContent, s.Call("DELETE", ofMember+"/"+weak, admin.Access, nil))
		a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/permissions/check", admin.Access,
			map[string]any{"permissions": []string{"users:read", "tenant:write", "users:readall"}}))
		if want := `{"items":[{"granted":true,"permission":"users:read"},` +
			`{"granted":false,"permission":"tenant:write"},` +
			`{"granted":false,"permission":"users:readall"}]}`; strings.TrimSpace(string(a.Body)) != want {
			t.Errorf("checked %s", a.Body)
		}
		a = s.Expect(http.StatusOK, s.Call("GET", "/api/v1/permissions", member.Access, nil))
		for _, p := range roles.All() {
			if !strings.Contains(string(a.Body), `"`+p+`"`) {
				t.Errorf("%s is not listed: %s", p, a.Body)
			}
		}
	})
}

// CVE-2025-14777: the server assigns no role to a user of another tenant, and changes nothing.
func TestRoles_ofAnotherTenantAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		owner, member := s.CreateUser("acme", "second@acme.test", "owner"),
			s.CreateUser("acme", "member@acme.test", "member")
		stranger := s.CreateUser("other", "owner@other.test", "owner")
		foreign, own := s.CreateRole(stranger.Access, "foreign", "users:read"),
			s.CreateRole(owner.Access, "own", "users:read")
		of := func(p apitest.Account) string { return "/api/v1/users/" + p.ID.String() + "/roles" }
		for name, a := range map[string]apitest.Answer{
			"a foreign role":        s.Call("PUT", of(member)+"/"+foreign, owner.Access, nil),
			"a foreign user":        s.Call("PUT", of(stranger)+"/"+own, owner.Access, nil),
			"both foreign":          s.Call("PUT", of(stranger)+"/"+foreign, owner.Access, nil),
			"remove a foreign role": s.Call("DELETE", of(member)+"/"+foreign, owner.Access, nil),
			"replace the roles of a foreign user": s.Call("PUT", of(stranger), owner.Access,
				map[string]any{"role_ids": []string{own}}),
			"change a foreign role": s.Call("PATCH", "/api/v1/roles/"+foreign, owner.Access,
				map[string]any{"name": "mine"}),
			"unknown role": s.Call("GET", "/api/v1/roles/"+uuid.NewString(), owner.Access, nil),
		} {
			if a.Status != http.StatusNotFound {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		a := s.Expect(http.StatusUnprocessableEntity,
			s.Call("PUT", of(member), owner.Access, map[string]any{"role_ids": []string{own, foreign}}))
		if !strings.Contains(string(a.Body), "/role_ids/1") || strings.Contains(string(a.Body), "/role_ids/0") {
			t.Errorf("refused with %s", a.Body)
		}
		ctx := principal.System(t.Context(), "test")
		if names := s.DB.Client.User.Query().Where(user.ID(member.ID)).QueryRoles().Select(role.FieldName).
			StringsX(ctx); !slices.Equal(names, []string{"member"}) {
			t.Errorf("some roles were changed: %v", names)
		}
	})
}

// The first request removes the other owner; the second is refused, since no owner would be left.
func TestOwners_removingEachOtherLeavesOne(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		first.CreateTenant("duel")
		one, two := first.CreateUser("duel", "one@duel.test", "owner"),
			first.CreateUser("duel", "two@duel.test", "owner")
		role := first.SystemRole(one, "owner")
		path := func(of apitest.Account) string { return "/api/v1/users/" + of.ID.String() + "/roles/" + role }
		for range 100 {
			var both sync.WaitGroup
			statuses := make([]int, 2)
			both.Go(func() { statuses[0] = first.Call("DELETE", path(two), one.Access, nil).Status })
			both.Go(func() { statuses[1] = second.Call("DELETE", path(one), two.Access, nil).Status })
			both.Wait()
			slices.Sort(statuses)
			if statuses[0] != http.StatusNoContent || !slices.Contains([]int{http.StatusForbidden, http.StatusConflict},
				statuses[1]) {
				t.Fatalf("statuses %v", statuses)
			}
			for _, p := range []apitest.Account{one, two} { // the remaining one assigns it again
				for _, giver := range []apitest.Account{one, two} {
					first.Call("PUT", path(p), giver.Access, nil)
				}
			}
		}
		first.Expect(http.StatusNoContent, first.Call("DELETE", path(two), one.Access, nil))
		first.Expect(http.StatusConflict, first.Call("DELETE", path(one), one.Access, nil))
	})
}

// Two superusers, each in a tenant with another owner, remove each other and themselves.
func TestSuperusers_lastCannotBeRemoved(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		s.CreateTenant("other")
		s.CreateUser("acme", "second@acme.test", "owner")
		s.CreateUser("other", "second@other.test", "owner")
		root, ctx := s.SignIn("acme", s.Owner()), principal.System(t.Context(), "test")
		path := "/api/v1/users/" + root.ID.String()
		for _, a := range []apitest.Answer{s.Call("DELETE", path, root.Access, nil),
			s.Call("PATCH", path, root.Access, map[string]any{"is_active": false})} {
			if a.Status != http.StatusConflict || a.Field(t, "code") != "last_superuser" {
				t.Errorf("the last superuser: %d %s", a.Status, a.Body)
			}
		}
		other := s.CreateUser("other", "root@other.test", "owner")
		for range 10 {
			s.DB.Client.User.Update().Where(user.IDIn(root.ID,
				other.ID)).SetIsActive(true).SetIsSuperuser(true).ExecX(ctx)
			root, other = s.SignIn("acme", root.User), s.SignIn("other", other.User)
			var both sync.WaitGroup
			disable := func(by apitest.Account, slug string, target uuid.UUID) {
				a := s.Call("PATCH", "/api/v1/users/"+target.String()+"?tenant="+slug, by.Access,
					map[string]any{"is_active": false})
				if !slices.Contains([]int{http.StatusOK, http.StatusConflict, http.StatusUnauthorized}, a.Status) {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			}
			both.Go(func() { disable(root, "other", other.ID) })
			both.Go(func() { disable(other, "acme", root.ID) })
			both.Wait()
			if n := s.DB.Client.User.Query().Where(user.IsSuperuser(true), user.IsActive(true)).CountX(ctx); n != 1 {
				t.Fatalf("%d superusers are left", n)
			}
		}
	})
}
