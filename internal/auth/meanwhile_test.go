package auth_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A user is deactivated while a sign-in that has read them as active compares the password. The
// sign-in leaves no session that would be valid after the user is activated again.
func TestSignIn_concurrentDeactivationLeavesNoSession(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, apitest.ProductionHashes)
		access, _ := s.Login()
		ada := s.CreateUser("acme", "ada@acme.test", "member")
		set := func(active bool) {
			s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/users/"+ada.ID.String(), access,
				map[string]any{"is_active": active}))
		}
		for round := range 8 {
			var signIn apitest.Answer
			var both sync.WaitGroup
			both.Go(func() {
				signIn = s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(ada.Email, apitest.OwnerPassword))
			})
			time.Sleep(time.Duration(round) * 5 * time.Millisecond) // each round at a later moment of the sign-in
			set(false)
			both.Wait()
			set(true)
			if signIn.Status == http.StatusOK {
				s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", signIn.Field(t, "access_token"),
					nil))
				s.Expect(http.StatusUnauthorized, s.Refresh(signIn.Field(t, "refresh_token")))
			}
		}
	})
}

// A row that is deleted while a request refers to it causes no 500.
func TestRequest_concurrentDeletionIsNoServerError(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		beside := func(what string, deleted string, request func() apitest.Answer, allowed ...int) {
			t.Helper()
			var deletion, got apitest.Answer
			var both sync.WaitGroup
			both.Go(func() { got = request() })
			both.Go(func() { deletion = s.Call("DELETE", deleted, access, nil) })
			both.Wait()
			s.Expect(http.StatusNoContent, deletion)
			if !slices.Contains(allowed, got.Status) {
				t.Errorf("%s: %d %s", what, got.Status, got.Body)
			}
		}
		for i := range 10 {
			slug := fmt.Sprintf("gone%d", i)
			s.CreateTenant(slug)
			ctx := principal.System(t.Context(), "test")
			created := s.DB.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
			s.DB.Client.Tenant.UpdateOne(created).SetSettings(settings.Tenant{Registration: settings.RegistrationOpen}).
				ExecX(ctx)
			beside("register", "/api/v1/tenants/"+created.ID.String(), func() apitest.Answer {
				return s.Call("POST", "/api/v1/auth/register", "",
					map[string]string{"tenant": slug, "email": "ada@" + slug + ".test",
						"password": apitest.OwnerPassword})
			}, http.StatusCreated, http.StatusForbidden, http.StatusConflict)

			role := s.CreateRole(access, slug, "users:read")
			beside("create a user", "/api/v1/roles/"+role, func() apitest.Answer {
				return s.Call("POST", "/api/v1/users", access, map[string]any{"email": slug + "@acme.test",
					"role_ids": []string{role}})
			}, http.StatusCreated, http.StatusUnprocessableEntity)

			ada := s.DB.Client.User.Create().SetTenantID(s.Owner().TenantID).SetEmail("ada@" + slug +
				".test").SetPasswordHash(*s.Owner().PasswordHash).SaveX(ctx)
			role = s.CreateRole(access, slug, "users:read")
			beside("assign a role", "/api/v1/roles/"+role, func() apitest.Answer {
				return s.Call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles/"+role, access, nil)
			}, http.StatusNoContent, http.StatusNotFound)
			beside("sign in", "/api/v1/users/"+ada.ID.String(), func() apitest.Answer {
				return s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(ada.Email, apitest.OwnerPassword))
			}, http.StatusOK, http.StatusUnauthorized)
		}
	})
}
