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

// A sign-in that has found the user active, and is busy with the password while they are made
// inactive, begins no session that would be there when they may act again.
func TestSignIn_beside_a_deactivation_leaves_no_session(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		ada := s.CreateUser("acme", "ada@acme.test", "member")
		set := func(active bool) {
			s.Expect(http.StatusOK, s.Call("PATCH", "/api/v1/users/"+ada.ID.String(), access,
				map[string]any{"is_active": active}))
		}
		for round := range 8 {
			var hers apitest.Answer
			var both sync.WaitGroup
			both.Go(func() {
				hers = s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(ada.Email, apitest.OwnerPassword))
			})
			time.Sleep(time.Duration(round) * 5 * time.Millisecond) // each round at a later moment of the sign-in
			set(false)
			both.Wait()
			set(true)
			if hers.Status == http.StatusOK {
				s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", hers.Field(t, "access_token"), nil))
				s.Expect(http.StatusUnauthorized, s.Refresh(hers.Field(t, "refresh_token")))
			}
		}
	})
}

// What goes while a request refers to it is no error of the server's.
func TestWhat_is_deleted_beside_a_request_is_no_500(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		beside := func(what string, deleted string, request func() apitest.Answer, allowed ...int) {
			t.Helper()
			var gone, got apitest.Answer
			var both sync.WaitGroup
			both.Go(func() { got = request() })
			both.Go(func() { gone = s.Call("DELETE", deleted, access, nil) })
			both.Wait()
			s.Expect(http.StatusNoContent, gone)
			if !slices.Contains(allowed, got.Status) {
				t.Errorf("%s: %d %s", what, got.Status, got.Body)
			}
		}
		for i := range 10 {
			slug := fmt.Sprintf("gone%d", i)
			s.CreateTenant(slug)
			ctx := principal.System(t.Context(), "test")
			home := s.DB.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
			s.DB.Client.Tenant.UpdateOne(home).SetSettings(settings.Tenant{Registration: settings.RegistrationOpen}).
				ExecX(ctx)
			beside("register", "/api/v1/tenants/"+home.ID.String(), func() apitest.Answer {
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
