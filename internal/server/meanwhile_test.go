package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A sign-in that has found the user active, and is busy with the password while they are made inactive, begins no session that
// would be there when they may act again.
func TestSignIn_beside_a_deactivation_leaves_no_session(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		ada := s.join("acme", "ada@acme.test", "member")
		set := func(active bool) {
			s.expect(http.StatusOK, s.call("PATCH", "/api/v1/users/"+ada.ID.String(), access, map[string]any{"is_active": active}))
		}
		for round := range 8 {
			var hers answer
			var both sync.WaitGroup
			both.Go(func() { hers = s.call("POST", "/api/v1/auth/login", "", credentials(ada.Email, ownerPassword)) })
			time.Sleep(time.Duration(round) * 5 * time.Millisecond)
			set(false)
			both.Wait()
			set(true)
			if hers.status == http.StatusOK {
				s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", hers.field(t, "access_token"), nil))
				s.expect(http.StatusUnauthorized, s.refresh(hers.field(t, "refresh_token")))
			}
		}
	})
}

// What goes while a request refers to it is no error of the server's.
func TestWhat_is_deleted_beside_a_request_is_no_500(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := start(t, opts)
		access, _ := s.login()
		beside := func(what string, deleted string, request func() answer, allowed ...int) {
			t.Helper()
			var gone, got answer
			var both sync.WaitGroup
			both.Go(func() { got = request() })
			both.Go(func() { gone = s.call("DELETE", deleted, access, nil) })
			both.Wait()
			s.expect(http.StatusNoContent, gone)
			if !slices.Contains(allowed, got.status) {
				t.Errorf("%s: %d %s", what, got.status, got.body)
			}
		}
		for i := range 10 {
			slug := fmt.Sprintf("gone%d", i)
			s.found(slug)
			ctx := principal.System(t.Context(), "test")
			home := s.db.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
			s.db.Client.Tenant.UpdateOne(home).SetSettings(settings.Tenant{Registration: settings.RegistrationOpen}).ExecX(ctx)
			beside("register", "/api/v1/tenants/"+home.ID.String(), func() answer {
				return s.call("POST", "/api/v1/auth/register", "", map[string]string{"tenant": slug, "email": "ada@" + slug + ".test", "password": ownerPassword})
			}, http.StatusCreated, http.StatusForbidden, http.StatusConflict)

			role := s.makeRole(access, slug, "users:read")
			beside("create a user", "/api/v1/roles/"+role, func() answer {
				return s.call("POST", "/api/v1/users", access, map[string]any{"email": slug + "@acme.test", "role_ids": []string{role}})
			}, http.StatusCreated, http.StatusUnprocessableEntity)

			ada := s.db.Client.User.Create().SetTenantID(s.owner().TenantID).SetEmail("ada@" + slug + ".test").SetPasswordHash(*s.owner().PasswordHash).SaveX(ctx)
			role = s.makeRole(access, slug, "users:read")
			beside("assign a role", "/api/v1/roles/"+role, func() answer {
				return s.call("PUT", "/api/v1/users/"+ada.ID.String()+"/roles/"+role, access, nil)
			}, http.StatusNoContent, http.StatusNotFound)
			beside("sign in", "/api/v1/users/"+ada.ID.String(), func() answer {
				return s.call("POST", "/api/v1/auth/login", "", credentials(ada.Email, ownerPassword))
			}, http.StatusOK, http.StatusUnauthorized)
		}
	})
}
