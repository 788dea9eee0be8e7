package database_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/roleassignment"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

// population is a tenant with a role and a user who has it, signed in.
type population struct {
	*database.DB
	tenant  *ent.Tenant
	role    *ent.Role
	user    *ent.User
	session *ent.RefreshToken
}

func populate(t *testing.T, db *database.DB) population {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	tenant := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
	p := population{
		DB: db, tenant: tenant, role: db.Client.Role.Create().SetTenantID(tenant.ID).SetName("editor").
			SetPermissions([]string{}).SaveX(ctx),
		user: db.Client.User.Create().SetTenantID(tenant.ID).SetEmail("ada@acme.test").SaveX(ctx),
	}
	p.session = p.signIn(t)
	return p
}

func (p population) signIn(t *testing.T) *ent.RefreshToken {
	t.Helper()
	return p.Client.RefreshToken.Create().SetTenantID(p.tenant.ID).SetUserID(p.user.ID).
		SetPasswordVersion(p.user.PasswordVersion).
		SetExpiresAt(time.Now().UTC().Add(time.Hour)).SaveX(principal.System(t.Context(), "test"))
}

// exec runs a statement as another program would.
func (p population) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := p.Client.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// changeStep is a write, and the keys that the change log must hold after it.
type changeStep struct {
	name string
	do   func()
	want []uuid.UUID
}

// cachedDataSteps returns one write of every kind, in an order in which each finds its rows.
func cachedDataSteps(t *testing.T, p population) []changeStep {
	ctx := principal.System(t.Context(), "test")
	return []changeStep{
		{"nothing", func() {}, nil},
		{"sign-in", func() { p.signIn(t) }, nil},
		{"refresh", func() { p.Client.RefreshToken.UpdateOne(p.session).AddCounter(1).ExecX(ctx) }, nil},
		{"sign-out", func() {
			p.Client.RefreshToken.UpdateOne(p.session).SetRevoked(true).ExecX(ctx)
		}, []uuid.UUID{p.session.ID}},
		{"sign-out again", func() { p.Client.RefreshToken.UpdateOne(p.session).SetRevoked(true).ExecX(ctx) }, nil},
		{"deletion of a revoked session", func() { p.Client.RefreshToken.DeleteOne(p.session).ExecX(ctx) }, nil},
		{"assignment", func() {
			p.Client.RoleAssignment.Create().SetTenantID(p.tenant.ID).SetUserID(p.user.ID).SetRoleID(p.role.ID).
				ExecX(ctx)
		}, []uuid.UUID{p.user.ID}},
		{"role", func() {
			p.Client.Role.UpdateOne(p.role).SetDescription("x").ExecX(ctx)
		}, []uuid.UUID{p.tenant.ID}},
		{"unassignment", func() {
			p.Client.RoleAssignment.Delete().Where(roleassignment.UserID(p.user.ID)).ExecX(ctx)
		}, []uuid.UUID{p.user.ID}},
		{"deletion of a role", func() { p.Client.Role.DeleteOne(p.role).ExecX(ctx) }, []uuid.UUID{p.tenant.ID}},
		{"user", func() { p.Client.User.UpdateOne(p.user).SetFullName("Ada").ExecX(ctx) }, []uuid.UUID{p.user.ID}},
		{"tenant", func() {
			p.Client.Tenant.UpdateOne(p.tenant).SetIsActive(false).ExecX(ctx)
		}, []uuid.UUID{p.tenant.ID}},
		{"provider", func() {
			p.Client.OAuthProvider.Create().SetTenantID(p.tenant.ID).SetName("idp").SetKind("oidc").SetLabel("IdP").
				SetClientID("id").SetClientSecret([]byte("x")).SetScopes([]string{}).ExecX(ctx)
		}, []uuid.UUID{p.tenant.ID}},
		{"deletion of a provider", func() { p.Client.OAuthProvider.Delete().ExecX(ctx) }, []uuid.UUID{p.tenant.ID}},
		{"deletion of a user with a session", func() {
			p.Client.User.DeleteOne(p.user).ExecX(ctx)
		}, []uuid.UUID{p.user.ID}},
		{"deletion of a tenant", func() {
			p.Client.Tenant.DeleteOne(p.tenant).ExecX(ctx)
		}, []uuid.UUID{p.tenant.ID}},
	}
}
