package server_test

import (
	"net/http"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// person is a user who is signed in.
type person struct {
	*ent.User
	access, refresh string
}

// found makes a tenant with its system roles.
func (s *instance) found(slug string) {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	made := s.db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(ctx)
	if err := roles.CreateSystem(principal.NewContext(ctx, principal.InTenant(made.ID)), s.db.Client); err != nil {
		s.Fatal(err)
	}
}

// join makes a user of a tenant, with a system role or none, who signs in with the owner's password.
func (s *instance) join(slug, email, role string) person {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	home := s.db.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
	u := s.db.Client.User.Create().SetTenantID(home.ID).SetEmail(email).SetPasswordHash(*s.owner().PasswordHash).SaveX(ctx)
	if role != "" {
		if err := roles.AssignSystem(principal.NewContext(ctx, principal.InTenant(home.ID)), s.db.Client, u.ID, role); err != nil {
			s.Fatal(err)
		}
	}
	return s.signIn(slug, u)
}

func (s *instance) signIn(slug string, u *ent.User) person {
	s.Helper()
	a := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/login", "",
		map[string]string{"tenant": slug, "email": u.Email, "password": ownerPassword}))
	return person{u, a.field(s.TB, "access_token"), a.field(s.TB, "refresh_token")}
}
