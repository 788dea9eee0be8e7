package tenants

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// deleteBatch is how many users one statement deletes.
const deleteBatch = 1000

// Delete deletes a tenant with all its objects: 404 if there is no such tenant, 409 for the
// caller's own and for that of the last superuser who can sign in. It suspends the tenant and
// deletes its sessions and then its users in batches, to bound the time of each statement. An
// interrupted deletion continues with the next request.
func (t *Tenants) Delete(ctx context.Context, id uuid.UUID) error {
	if err := notOwn(ctx, id); err != nil {
		return err
	}
	err := database.WithTx(ctx, t.client, func(tx *ent.Client) error {
		suspended, err := tx.Tenant.Update().Where(tenant.ID(id)).SetIsActive(false).SetIsDeleting(true).
			Save(ofPlatform(ctx))
		if err != nil {
			return fmt.Errorf("begin to delete tenant: %w", err)
		}
		if suspended == 0 {
			return problem.NotFound()
		}
		return keepSuperuser(ctx, tx, id)
	})
	if err != nil {
		return err
	}
	inTenant := principal.NewContext(ctx, principal.InTenant(id))
	if err := sessions.DeleteOfTenant(inTenant, t.client, id); err != nil {
		return err
	}
	for {
		last, err := t.client.User.Query().Order(user.ByID()).Offset(deleteBatch - 1).FirstID(inTenant)
		if ent.IsNotFound(err) {
			break // the remaining users are deleted with the tenant
		}
		if err == nil {
			_, err = t.client.User.Delete().Where(user.IDLTE(last)).Exec(inTenant)
		}
		if err != nil {
			return fmt.Errorf("delete users of tenant: %w", err)
		}
	}
	if err := t.client.Tenant.DeleteOneID(id).Exec(ofPlatform(ctx)); ent.IsNotFound(err) {
		return problem.NotFound()
	} else if err != nil {
		return fmt.Errorf("delete tenant: %w", err)
	}
	return nil
}
