package users_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// createSuperuser creates a superuser in a new tenant with another owner.
func createSuperuser(s *apitest.Instance, slug string) apitest.Account {
	s.Helper()
	s.CreateTenant(slug)
	root := s.CreateUser(slug, "root@"+slug+".test", "")
	ctx := principal.System(s.Context(), "test")
	s.DB.Client.User.UpdateOneID(root.ID).SetIsSuperuser(true).ExecX(ctx)
	owner := s.DB.Client.User.Create().SetTenantID(root.TenantID).SetEmail("owner@" + slug + ".test").SaveX(ctx)
	if err := roles.AssignSystem(principal.NewContext(ctx, principal.InTenant(root.TenantID)), s.DB.Client, owner.ID,
		roles.Owner); err != nil {
		s.Fatal(err)
	}
	return s.SignIn(slug, root.User)
}

// countActive counts the superusers who can sign in.
func countActive(s *apitest.Instance) int {
	s.Helper()
	return s.DB.Client.User.Query().Where(user.IsSuperuser(true), user.IsActive(true),
		user.HasTenantWith(tenant.IsActive(true))).
		CountX(principal.System(s.Context(), "test"))
}

// removals are the operations after which a superuser cannot sign in.
var removals = []struct {
	name   string
	remove func(s *apitest.Instance, by, of apitest.Account, slug string) apitest.Answer
}{
	{"suspend the tenant", func(s *apitest.Instance, by, of apitest.Account, _ string) apitest.Answer {
		return s.Call("POST", "/api/v1/tenants/"+of.TenantID.String()+"/suspend", by.Access, nil)
	}},
	{"delete the tenant", func(s *apitest.Instance, by, of apitest.Account, _ string) apitest.Answer {
		return s.Call("DELETE", "/api/v1/tenants/"+of.TenantID.String(), by.Access, nil)
	}},
	{"deactivate the user", func(s *apitest.Instance, by, of apitest.Account, slug string) apitest.Answer {
		return s.Call("PATCH", "/api/v1/users/"+of.ID.String()+"?tenant="+slug, by.Access,
			map[string]any{"is_active": false})
	}},
	{"delete the user", func(s *apitest.Instance, by, of apitest.Account, slug string) apitest.Answer {
		return s.Call("DELETE", "/api/v1/users/"+of.ID.String()+"?tenant="+slug, by.Access, nil)
	}},
}

// Two superusers remove each other concurrently, on two instances, with every pair of operations.
func TestSuperusers_removingEachOtherLeavesOne(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		ctx := principal.System(t.Context(), "test")
		first.DB.Client.User.Update().SetIsSuperuser(false).ExecX(ctx)
		n := 0
		for _, one := range removals {
			for _, other := range removals {
				for range 4 {
					n++
					slugs := []string{fmt.Sprint("one-", n), fmt.Sprint("two-", n)}
					a, b := createSuperuser(first, slugs[0]), createSuperuser(first, slugs[1])
					second.CatchUp()
					answers := make([]apitest.Answer, 2)
					var both sync.WaitGroup
					both.Go(func() { answers[0] = one.remove(first, a, b, slugs[1]) })
					both.Go(func() { answers[1] = other.remove(second, b, a, slugs[0]) })
					both.Wait()
					for _, got := range answers {
						refused := got.Status == http.StatusUnauthorized || got.Status == http.StatusConflict &&
							got.Field(t, "code") == "last_superuser"
						if got.Status >= 300 && !refused {
							t.Errorf("%s, %s: %d %s", one.name, other.name, got.Status, got.Body)
						}
					}
					if left := countActive(first); left != 1 {
						t.Fatalf("%s, %s: statuses %d and %d, %d superusers are left", one.name, other.name,
							answers[0].Status, answers[1].Status, left)
					}
					first.DB.Client.User.Update().SetIsSuperuser(false).ExecX(ctx)
				}
			}
		}
	})
}

// Commands run without a signed-in superuser. They cannot remove the last superuser, even if they
// run at once.
func TestCommands_cannotRemoveLastSuperuser(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ctx := principal.System(t.Context(), "test")
		command := func(args ...string) error {
			_, err := apitest.Command(t, opts)("", args...)
			return err
		}
		expectRefused := func(what string, err error) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), "superuser") || countActive(s) != 1 {
				t.Errorf("%s: %v, %d superusers are left", what, err, countActive(s))
			}
		}
		s.CreateUser("acme", "second@acme.test", "owner")
		expectRefused("suspend the tenant", command("tenant", "suspend", "acme"))
		expectRefused("disable the user", command("user", "disable", apitest.OwnerEmail))

		// A superuser in a suspended tenant cannot sign in, nor can an inactive one.
		other := createSuperuser(s, "other")
		if err := command("tenant", "suspend", "other"); err != nil {
			t.Error(err)
		}
		expectRefused("suspend the tenant beside a suspended one", command("tenant", "suspend", "acme"))
		expectRefused("disable the user beside a suspended tenant", command("user", "disable", apitest.OwnerEmail))
		// A command can disable a superuser who cannot sign in, and suspend a tenant without
		// superusers.
		if err := command("user", "disable", "--tenant=other", other.Email); err != nil {
			t.Error(err)
		}
		if err := command("tenant", "resume", "other"); err != nil {
			t.Error(err)
		}
		expectRefused("suspend the tenant beside an inactive user", command("tenant", "suspend", "acme"))
		s.CreateTenant("third")
		if err := command("tenant", "suspend", "third"); err != nil {
			t.Error(err)
		}

		for range 15 {
			s.DB.Client.Tenant.Update().SetIsActive(true).ExecX(ctx)
			s.DB.Client.User.UpdateOneID(other.ID).SetIsActive(true).ExecX(ctx)
			errs := make([]error, 2)
			var both sync.WaitGroup
			for i, slug := range []string{"acme", "other"} {
				both.Go(func() { errs[i] = command("tenant", "suspend", slug) })
			}
			both.Wait()
			if left := countActive(s); left != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%d superusers are left: %v", left, errs)
			}
		}
	})
}

// Tenants that do not have the last superuser can be suspended and deleted. Requests for a
// deleted tenant return 404.
func TestSuspend_withoutLastSuperuserIsAllowed(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		root, _ := s.Login()
		s.CreateTenant("plain")
		other := createSuperuser(s, "other")
		plain := s.DB.Client.Tenant.Query().Where(tenant.Slug("plain")).OnlyX(principal.System(t.Context(), "test"))
		for _, id := range []uuid.UUID{plain.ID, other.TenantID} {
			s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/tenants/"+id.String()+"/suspend", root, nil))
			s.Expect(http.StatusNoContent, s.Call("POST", "/api/v1/tenants/"+id.String()+"/suspend", root,
				nil)) // again
			s.Expect(http.StatusNoContent, s.Call("DELETE", "/api/v1/tenants/"+id.String(), root, nil))
			s.Expect(http.StatusNotFound, s.Call("POST", "/api/v1/tenants/"+id.String()+"/suspend", root, nil))
		}
		if n := countActive(s); n != 1 {
			t.Errorf("%d superusers are active, want 1", n)
		}
	})
}
