package database_test

import (
	"testing"
	"time"

	"tenantry/ent"
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
