package roles

import (
	"context"
	"fmt"
	"slices"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// KeepSuperuser refuses with 409 a change after which no superuser could sign in: one must be
// active in an active tenant. Otherwise only the command line could create another. removed reports
// whether the change locks a user out. KeepSuperuser locks all superusers until the transaction
// ends, so that two superusers cannot remove each other.
func KeepSuperuser(ctx context.Context, tx *ent.Client, removed func(*ent.User) bool) error {
	ctx = principal.System(ctx, "superusers may belong to any tenant")
	q := tx.User.Query().Where(user.IsSuperuser(true)).Order(user.ByID())
	q.Modify(database.LockRow)
	all, err := q.Select(user.FieldID, user.FieldTenantID).All(ctx)
	if err != nil {
		return fmt.Errorf("lock superusers: %w", err)
	}
	if !slices.ContainsFunc(all, removed) {
		return nil
	}
	// A second statement sees the commits of earlier holders of the lock, also to tenants, which
	// are not locked.
	active, err := tx.User.Query().Where(user.IsSuperuser(true), user.IsActive(true),
		user.HasTenantWith(tenant.IsActive(true))).
		Select(user.FieldID, user.FieldTenantID).All(ctx)
	if err != nil {
		return fmt.Errorf("find an active superuser: %w", err)
	}
	if !slices.ContainsFunc(active, func(u *ent.User) bool { return !removed(u) }) {
		return problem.Conflict("last_superuser",
			"No other superuser could sign in. Make another user a superuser first: tenantry user create --superuser.")
	}
	return nil
}
