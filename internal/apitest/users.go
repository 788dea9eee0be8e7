package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/ent/tenant"
	"tenantry/internal/api"
	"tenantry/internal/principal"
	"tenantry/internal/roles"
)

// Account is a user who is signed in.
type Account struct {
	*ent.User
	Access, Refresh string
}

// CreateTenant creates a tenant with its system roles.
func (s *Instance) CreateTenant(slug string) {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	created := s.DB.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(ctx)
	ctx = principal.NewContext(ctx, principal.InTenant(created.ID))
	if err := roles.CreateSystem(ctx, s.DB.Client); err != nil {
		s.Fatal(err)
	}
}

// CreateUser creates a user of a tenant with the owner's password, and with a system role unless
// role is "", and signs the user in.
func (s *Instance) CreateUser(slug, email, role string) Account {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	of := s.DB.Client.Tenant.Query().Where(tenant.Slug(slug)).OnlyX(ctx)
	u := s.DB.Client.User.Create().SetTenantID(of.ID).SetEmail(email).SetPasswordHash(*s.Owner().PasswordHash).
		SaveX(ctx)
	if role != "" {
		if err := roles.AssignSystem(principal.NewContext(ctx, principal.InTenant(of.ID)), s.DB.Client, u.ID,
			role); err != nil {
			s.Fatal(err)
		}
	}
	return s.SignIn(slug, u)
}

// SignIn signs a user in with the owner's password.
func (s *Instance) SignIn(slug string, u *ent.User) Account {
	s.Helper()
	a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
		map[string]string{"tenant": slug, "email": u.Email, "password": OwnerPassword}))
	return Account{u, a.Field(s.TB, "access_token"), a.Field(s.TB, "refresh_token")}
}

// SystemRole returns the ID of a system role of a user's tenant.
func (s *Instance) SystemRole(of Account, name string) string {
	s.Helper()
	ctx := principal.System(s.Context(), "test")
	return s.DB.Client.Role.Query().Where(role.TenantID(of.TenantID), role.Name(name)).OnlyIDX(ctx).String()
}

// CreateRole creates a role by the API and returns its id.
func (s *Instance) CreateRole(access, name string, permissions ...string) string {
	s.Helper()
	a := s.Call("POST", "/api/v1/roles", access, map[string]any{"name": name, "permissions": permissions})
	return s.Expect(http.StatusCreated, a).Field(s.TB, "id")
}

// Sessions lists the sessions of an access token's user.
func (s *Instance) Sessions(access string) []api.Session {
	s.Helper()
	var list api.Sessions
	if err := json.Unmarshal(s.Expect(http.StatusOK, s.Call("GET", "/api/v1/auth/sessions", access, nil)).Body,
		&list); err != nil {
		s.Fatal(err)
	}
	return list.Items
}

// ListUsers returns the local parts of the addresses of a page of users, and the page.
func (s *Instance) ListUsers(access, query string) ([]string, api.Users, Answer) {
	s.Helper()
	a := s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users?"+query, access, nil))
	var page api.Users
	if err := json.Unmarshal(a.Body, &page); err != nil {
		s.Fatal(err)
	}
	names := []string{}
	for _, u := range page.Items {
		name, _, _ := strings.Cut(u.Email, "@")
		names = append(names, name)
	}
	return names, page, a
}

// Populate creates ten users in a user's tenant. Every third is inactive.
func (s *Instance) Populate(of Account, domain string) {
	s.Helper()
	ctx := principal.NewContext(s.Context(), principal.InTenant(of.TenantID))
	var creates []*ent.UserCreate
	for i := range 10 {
		creates = append(creates, s.DB.Client.User.Create().SetEmail(fmt.Sprintf("user%d@%s", i, domain)).
			SetFullName(fmt.Sprintf("Zoë Number%d", i)).SetIsActive(i%3 != 0))
	}
	s.DB.Client.User.CreateBulk(creates...).ExecX(ctx)
}
