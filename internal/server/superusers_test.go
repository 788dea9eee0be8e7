package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// superuser makes a superuser in a new tenant that has another owner.
func (s *instance) superuser(slug string) person {
	s.Helper()
	s.found(slug)
	root := s.join(slug, "root@"+slug+".test", "")
	ctx := principal.System(s.Context(), "test")
	s.db.Client.User.UpdateOneID(root.ID).SetIsSuperuser(true).ExecX(ctx)
	owner := s.db.Client.User.Create().SetTenantID(root.TenantID).SetEmail("owner@" + slug + ".test").SaveX(ctx)
	if err := roles.AssignSystem(principal.NewContext(ctx, principal.InTenant(root.TenantID)), s.db.Client, owner.ID, roles.Owner); err != nil {
		s.Fatal(err)
	}
	return s.signIn(slug, root.User)
}

// reachable counts the superusers who can sign in.
func (s *instance) reachable() int {
	s.Helper()
	return s.db.Client.User.Query().Where(user.IsSuperuser(true), user.IsActive(true), user.HasTenantWith(tenant.IsActive(true))).
		CountX(principal.System(s.Context(), "test"))
}

// removals are what makes a superuser unreachable.
var removals = []struct {
	name   string
	remove func(s *instance, by, of person, slug string) answer
}{
	{"suspend the tenant", func(s *instance, by, of person, _ string) answer {
		return s.call("POST", "/api/v1/tenants/"+of.TenantID.String()+"/suspend", by.access, nil)
	}},
	{"delete the tenant", func(s *instance, by, of person, _ string) answer {
		return s.call("DELETE", "/api/v1/tenants/"+of.TenantID.String(), by.access, nil)
	}},
	{"deactivate the user", func(s *instance, by, of person, slug string) answer {
		return s.call("PATCH", "/api/v1/users/"+of.ID.String()+"?tenant="+slug, by.access, map[string]any{"is_active": false})
	}},
	{"delete the user", func(s *instance, by, of person, slug string) answer {
		return s.call("DELETE", "/api/v1/users/"+of.ID.String()+"?tenant="+slug, by.access, nil)
	}},
}

// Two superusers remove each other at once, on two instances, in every pair of ways. One is left.
func TestSuperusers_whoRemoveEachOtherLeaveOne(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := start(t, opts), start(t, opts)
		ctx := principal.System(t.Context(), "test")
		first.db.Client.User.Update().SetIsSuperuser(false).ExecX(ctx)
		n := 0
		for _, one := range removals {
			for _, other := range removals {
				for range 4 {
					n++
					slugs := []string{fmt.Sprint("one-", n), fmt.Sprint("two-", n)}
					a, b := first.superuser(slugs[0]), first.superuser(slugs[1])
					second.server.CatchUp()
					answers := make([]answer, 2)
					var both sync.WaitGroup
					both.Go(func() { answers[0] = one.remove(first, a, b, slugs[1]) })
					both.Go(func() { answers[1] = other.remove(second, b, a, slugs[0]) })
					both.Wait()
					for _, got := range answers {
						refused := got.status == http.StatusUnauthorized || got.status == http.StatusConflict && got.field(t, "code") == "last_superuser"
						if got.status >= 300 && !refused {
							t.Errorf("%s, %s: %d %s", one.name, other.name, got.status, got.body)
						}
					}
					if left := first.reachable(); left != 1 {
						t.Fatalf("%s, %s: statuses %d and %d, %d superusers are left", one.name, other.name, answers[0].status, answers[1].status, left)
					}
					first.db.Client.User.Update().SetIsSuperuser(false).ExecX(ctx)
				}
			}
		}
	})
}

// The command line, where no superuser acts, keeps the last one too, alone and at once with
// another.
func TestCommands_lastReachableSuperuserStays(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		ctx := principal.System(t.Context(), "test")
		command := func(args ...string) error {
			_, err := command(t, opts)("", args...)
			return err
		}
		refused := func(what string, err error) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), "superuser") || s.reachable() != 1 {
				t.Errorf("%s: %v, %d superusers are left", what, err, s.reachable())
			}
		}
		s.join("acme", "second@acme.test", "owner")
		refused("suspend the tenant", command("tenant", "suspend", "acme"))
		refused("disable the user", command("user", "disable", ownerEmail))

		// A superuser in a suspended tenant is not reachable, nor is an inactive one in an active tenant.
		other := s.superuser("other")
		if err := command("tenant", "suspend", "other"); err != nil {
			t.Error(err)
		}
		refused("suspend the tenant beside a suspended one", command("tenant", "suspend", "acme"))
		refused("disable the user beside a suspended tenant", command("user", "disable", ownerEmail))
		// Who is not reachable may be disabled, and a tenant without a superuser be suspended.
		if err := command("user", "disable", "--tenant=other", other.Email); err != nil {
			t.Error(err)
		}
		if err := command("tenant", "resume", "other"); err != nil {
			t.Error(err)
		}
		refused("suspend the tenant beside an inactive user", command("tenant", "suspend", "acme"))
		s.found("third")
		if err := command("tenant", "suspend", "third"); err != nil {
			t.Error(err)
		}

		for range 15 {
			s.db.Client.Tenant.Update().SetIsActive(true).ExecX(ctx)
			s.db.Client.User.UpdateOneID(other.ID).SetIsActive(true).ExecX(ctx)
			errs := make([]error, 2)
			var both sync.WaitGroup
			for i, slug := range []string{"acme", "other"} {
				both.Go(func() { errs[i] = command("tenant", "suspend", slug) })
			}
			both.Wait()
			if left := s.reachable(); left != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%d superusers are left: %v", left, errs)
			}
		}
	})
}

// A superuser who has gone is no reason to refuse the removal of another, and 404 is told before.
func TestSuspension_ofATenantWithoutSuperusersIsNotRefused(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		root, _ := s.login()
		s.found("plain")
		other := s.superuser("other")
		home := s.db.Client.Tenant.Query().Where(tenant.Slug("plain")).OnlyX(principal.System(t.Context(), "test"))
		for _, id := range []uuid.UUID{home.ID, other.TenantID} {
			s.expect(http.StatusNoContent, s.call("POST", "/api/v1/tenants/"+id.String()+"/suspend", root, nil))
			s.expect(http.StatusNoContent, s.call("POST", "/api/v1/tenants/"+id.String()+"/suspend", root, nil)) // again
			s.expect(http.StatusNoContent, s.call("DELETE", "/api/v1/tenants/"+id.String(), root, nil))
			s.expect(http.StatusNotFound, s.call("POST", "/api/v1/tenants/"+id.String()+"/suspend", root, nil))
		}
		if slices.Contains([]int{0, 2}, s.reachable()) {
			t.Errorf("%d superusers", s.reachable())
		}
	})
}
