package tenants

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
)

// SetActive suspends or resumes a tenant: 404 if there is no such tenant, 409 for the caller's own,
// for one whose deletion has begun, and for that of the last superuser who can sign in.
func (t *Tenants) SetActive(ctx context.Context, id uuid.UUID, active bool) error {
	if err := notOwn(ctx, id); err != nil {
		return err
	}
	changed := 0
	err := database.WithTx(ctx, t.client, func(tx *ent.Client) (err error) {
		changed, err = tx.Tenant.Update().Where(tenant.ID(id),
			tenant.IsDeleting(false)).SetIsActive(active).Save(ofPlatform(ctx))
		if err != nil {
			return fmt.Errorf("set tenant active: %w", err)
		}
		if active || changed == 0 {
			return nil
		}
		return keepSuperuser(ctx, tx, id)
	})
	if err != nil || changed == 1 {
		return err
	}
	if _, err := t.Get(ctx, id); err != nil {
		return err
	}
	return problem.Conflict("tenant_deleting", "The tenant is being deleted.")
}

// notOwn refuses the caller's own tenant with 409, so that superusers do not lock themselves out.
func notOwn(ctx context.Context, id uuid.UUID) error {
	if p, _ := principal.FromContext(ctx); p.TenantID == id {
		return problem.Conflict("own_tenant", "You cannot suspend or delete the tenant of your request.")
	}
	return nil
}

// keepSuperuser refuses with 409 to suspend the tenant of the last superuser who can sign in. The
// transaction must have suspended the tenant.
func keepSuperuser(ctx context.Context, tx *ent.Client, id uuid.UUID) error {
	return roles.KeepSuperuser(ctx, tx, func(u *ent.User) bool { return u.TenantID == id })
}
