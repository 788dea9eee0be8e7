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

// KeepSuperuser refuses with 409 a change after which no superuser could sign in: at least one must
// be active in an active tenant. Only the command line would bring one back. leaves reports the
// users whom the change makes unreachable. It locks the superusers until the transaction ends, so
// that two superusers who remove each other wait for each other.
func KeepSuperuser(ctx context.Context, tx *ent.Client, leaves func(*ent.User) bool) error {
	ctx = principal.System(ctx, "superusers are of every tenant")
	q := tx.User.Query().Where(user.IsSuperuser(true)).Order(user.ByID())
	q.Modify(database.LockRow)
	all, err := q.Select(user.FieldID, user.FieldTenantID).All(ctx)
	if err != nil {
		return fmt.Errorf("lock superusers: %w", err)
	}
	if !slices.ContainsFunc(all, leaves) {
		return nil
	}
	// A statement of its own sees what those who held the lock have committed, also to tenants,
	// which are not locked.
	reachable, err := tx.User.Query().Where(user.IsSuperuser(true), user.IsActive(true),
		user.HasTenantWith(tenant.IsActive(true))).
		Select(user.FieldID, user.FieldTenantID).All(ctx)
	if err != nil {
		return fmt.Errorf("look for a superuser: %w", err)
	}
	if !slices.ContainsFunc(reachable, func(u *ent.User) bool { return !leaves(u) }) {
		return problem.Conflict("last_superuser",
			"No other superuser could sign in. Make another user a superuser first: tenantry user create --superuser.")
	}
	return nil
}
