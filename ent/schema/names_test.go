package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tenantry/ent"
	"tenantry/ent/schema"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// The hooks enforce the rules for a caller without checks of its own.
func TestNames_everyCallerStoresVisibleText(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		system := principal.System(t.Context(), "test")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("\u00a0Cafe\u0301 ").SaveX(system)
		ctx := principal.NewContext(system, principal.InTenant(home.ID))
		ada := db.Client.User.Create().SetEmail("ada@acme.test").SetFullName(" Ada\u00a0King").SaveX(ctx)
		support := db.Client.Role.Create().SetName(" support\u2003").SetDescription(" helps ").SaveX(ctx)
		provider := db.Client.OAuthProvider.Create().SetName("p").SetKind("oidc").SetLabel(" P ").SetClientID("id").
			SaveX(ctx)
		if home.Name != "Caf\u00e9" || ada.FullName != "Ada King" || ada.FullNameFolded != "ada king" ||
			support.Name != "support" ||
			support.Description != "helps" || provider.Label != "P" {
			t.Errorf("stored %+q, %+q, %+q, %+q, %+q, %+q", home.Name, ada.FullName, ada.FullNameFolded, support.Name,
				support.Description, provider.Label)
		}
		const hidden = "Ad\u200ba"
		for what, err := range map[string]error{
			"name of a new tenant":  db.Client.Tenant.Create().SetSlug("beta").SetName(hidden).Exec(system),
			"name of a tenant":      db.Client.Tenant.UpdateOne(home).SetName(hidden).Exec(system),
			"name of tenants":       db.Client.Tenant.Update().SetName(hidden).Exec(system),
			"name of a user":        db.Client.User.UpdateOne(ada).SetFullName(hidden).Exec(ctx),
			"name of a new role":    db.Client.Role.Create().SetName(hidden).Exec(ctx),
			"name of a role":        db.Client.Role.UpdateOne(support).SetName(hidden).Exec(ctx),
			"description of a role": db.Client.Role.UpdateOne(support).SetDescription(hidden).Exec(ctx),
			"description of roles":  db.Client.Role.Update().SetDescription(hidden).Exec(ctx),
			"label of a provider":   db.Client.OAuthProvider.UpdateOne(provider).SetLabel(hidden).Exec(ctx),
			"label of a new provider": db.Client.OAuthProvider.Create().SetName("q").SetKind("oidc").SetLabel(hidden).
				SetClientID("id").Exec(ctx),
		} {
			if err == nil || !strings.Contains(err.Error(), "U+200B") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := db.Client.Role.Update().SetName("all").Exec(ctx); err == nil {
			t.Error("several roles are given one name")
		}
	})
}

func TestRole_everyCallerStoresDistinctNames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		system := principal.System(t.Context(), "test")
		tenantNamed := func(slug string) *ent.Tenant {
			return db.Client.Tenant.Create().SetSlug(slug).SetName(slug).SaveX(system)
		}
		home, other := tenantNamed("acme"), tenantNamed("beta")
		ctx := principal.NewContext(system, principal.InTenant(home.ID))
		db.Client.Role.Create().SetName("owner").SetIsSystem(true).ExecX(ctx)
		db.Client.Role.Create().SetName("Support").ExecX(ctx)
		second := db.Client.Role.Create().SetName("second").SaveX(ctx)
		for _, name := range []string{"SUPPORT", "support", "Owner", "0wner", "\u00f3wner"} {
			for what, err := range map[string]error{
				"create":               db.Client.Role.Create().SetName(name).Exec(ctx),
				"rename":               db.Client.Role.UpdateOne(second).SetName(name).Exec(ctx),
				"create as the system": db.Client.Role.Create().SetTenantID(home.ID).SetName(name).Exec(system),
				"rename as the system": db.Client.Role.UpdateOneID(second.ID).SetName(name).Exec(system),
			} {
				if !errors.Is(err, schema.ErrRoleNameTaken) {
					t.Errorf("%s %+q: %v", what, name, err)
				}
			}
		}
		db.Client.Role.UpdateOne(second).SetName("SECOND").ExecX(ctx)
		db.Client.Role.Create().SetTenantID(other.ID).SetName("SUPPORT").ExecX(system)
		for i := db.Client.Role.Query().CountX(ctx); i < schema.MaxRoles; i++ {
			db.Client.Role.Create().SetName(fmt.Sprint("role ", i)).ExecX(ctx)
		}
		if err := db.Client.Role.Create().SetName("one more").Exec(ctx); !errors.Is(err, schema.ErrTooManyRoles) {
			t.Errorf("one role more: %v", err)
		}
	})
}
