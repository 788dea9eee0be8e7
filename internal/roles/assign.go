package roles

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// Set replaces the roles of a user in one transaction, and returns the new roles by name: 404 for
// an unknown user, 422 for an unknown role, 403 for a user or a role with a permission that the
// caller lacks, 409 for the last owner.
func (r *Roles) Set(ctx context.Context, userID uuid.UUID, roleIDs []uuid.UUID) ([]*ent.Role, error) {
	return r.update(ctx, userID, func(ctx context.Context, tx *ent.Client, _ []*ent.Role) ([]*ent.Role, error) {
		return byIDs(ctx, tx, roleIDs)
	})
}

// Grant assigns roles to a user without roles: 422 for an unknown role, 403 for a role with a
// permission that the caller lacks.
func Grant(ctx context.Context, tx *ent.Client, userID uuid.UUID, roleIDs []uuid.UUID) error {
	granted, err := byIDs(ctx, tx, roleIDs)
	if err != nil {
		return err
	}
	if err := requireRoles(ctx, granted); err != nil {
		return err
	}
	return assign(ctx, tx, userID, granted)
}

// byIDs returns roles by name: 422 if one does not exist.
func byIDs(ctx context.Context, tx *ent.Client, ids []uuid.UUID) ([]*ent.Role, error) {
	q := tx.Role.Query().Where(role.IDIn(ids...)).Order(role.ByName())
	q.Modify(database.KeepRow)
	all, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	var fields []problem.Field
	for i, id := range ids {
		if !slices.ContainsFunc(all, func(r *ent.Role) bool { return r.ID == id }) {
			fields = append(fields, problem.Field{Pointer: "/role_ids/" + strconv.Itoa(i),
				Detail: "is not a role of this tenant"})
		}
	}
	if len(fields) > 0 {
		return nil, problem.Invalid(fields...)
	}
	return all, nil
}

// Add assigns a role to a user. It is idempotent. The errors are those of Set, but 404 for an
// unknown role.
func (r *Roles) Add(ctx context.Context, userID, roleID uuid.UUID) error {
	_, err := r.update(ctx, userID, func(ctx context.Context, tx *ent.Client, has []*ent.Role) ([]*ent.Role, error) {
		q := tx.Role.Query().Where(role.ID(roleID))
		q.Modify(database.KeepRow)
		added, err := orNotFound(q.Only(ctx))
		if err != nil || slices.ContainsFunc(has, func(h *ent.Role) bool { return h.ID == roleID }) {
			return has, err
		}
		return append(slices.Clone(has), added), nil
	})
	return err
}

// Remove unassigns a role from a user. It is idempotent. The errors are those of Set, but 404 for
// an unknown role.
func (r *Roles) Remove(ctx context.Context, userID, roleID uuid.UUID) error {
	_, err := r.update(ctx, userID, func(ctx context.Context, tx *ent.Client, has []*ent.Role) ([]*ent.Role, error) {
		if _, err := (&Roles{tx}).Get(ctx, roleID); err != nil {
			return nil, err
		}
		return slices.DeleteFunc(slices.Clone(has), func(h *ent.Role) bool { return h.ID == roleID }), nil
	})
	return err
}

// update replaces the roles of a user by the result of next, which gets the present ones.
func (r *Roles) update(ctx context.Context, userID uuid.UUID,
	next func(context.Context, *ent.Client, []*ent.Role) ([]*ent.Role, error)) (updated []*ent.Role, err error) {
	err = Guarded(ctx, r.client, userID, func(tx *ent.Client, target *ent.User) error {
		has, err := target.Edges.RolesOrErr()
		if err != nil {
			return err
		}
		if updated, err = next(ctx, tx, has); err != nil {
			return err
		}
		added, removed := difference(updated, has), difference(has, updated)
		if err := requireRoles(ctx, slices.Concat(added, removed)); err != nil {
			return err
		}
		if err := unassign(ctx, tx, userID, removed); err != nil {
			return err
		}
		return assign(ctx, tx, userID, added)
	})
	return updated, err
}

// requireRoles returns 403 unless the caller has all permissions of the roles.
func requireRoles(ctx context.Context, roles []*ent.Role) error {
	for _, r := range roles {
		if err := requirePermissions(ctx, r.Permissions); err != nil {
			return err
		}
	}
	return nil
}

func unassign(ctx context.Context, tx *ent.Client, userID uuid.UUID, removed []*ent.Role) error {
	if len(removed) == 0 {
		return nil
	}
	var ids []uuid.UUID
	for _, r := range removed {
		ids = append(ids, r.ID)
	}
	if _, err := tx.RoleAssignment.Delete().Where(roleassignment.UserID(userID),
		roleassignment.RoleIDIn(ids...)).Exec(ctx); err != nil {
		return fmt.Errorf("unassign roles: %w", err)
	}
	return nil
}

// assign assigns roles to a user who has none of them.
func assign(ctx context.Context, tx *ent.Client, userID uuid.UUID, added []*ent.Role) error {
	if len(added) == 0 {
		return nil
	}
	var creates []*ent.RoleAssignmentCreate
	for _, r := range added {
		creates = append(creates, tx.RoleAssignment.Create().SetUserID(userID).SetRoleID(r.ID))
	}
	if err := tx.RoleAssignment.CreateBulk(creates...).Exec(ctx); err != nil {
		return fmt.Errorf("assign roles: %w", err)
	}
	return nil
}

// Guarded runs a change of a user in one transaction: 404 if there is no such user, 403 if the user
// has a permission that the caller lacks, 409 if the tenant would have no active owner. It locks
// the tenant, so that two owners cannot remove each other. The roles of target are loaded.
func Guarded(ctx context.Context, client *ent.Client, userID uuid.UUID,
	do func(tx *ent.Client, target *ent.User) error) error {
	p, _ := principal.FromContext(ctx)
	return database.WithTx(ctx, client, func(tx *ent.Client) error {
		if _, err := tx.Tenant.Query().Where(tenant.ID(p.TenantID)).Modify(database.LockRow).Select(tenant.FieldID).
			String(ctx); err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		target, err := tx.User.Query().Where(user.ID(userID)).WithRoles().Only(ctx)
		if ent.IsNotFound(err) {
			return problem.NotFound()
		}
		if err != nil {
			return fmt.Errorf("read user: %w", err)
		}
		if err := notAbove(p, target); err != nil {
			return err
		}
		if err := do(tx, target); err != nil {
			return err
		}
		return keepOwner(ctx, tx)
	})
}

// notAbove refuses a user with a permission that the caller lacks (ASVS 8.2.1).
func notAbove(p principal.Principal, target *ent.User) error {
	above := problem.Forbidden("forbidden", "The user has permissions that you lack.")
	if target.IsSuperuser && !p.Superuser {
		return above
	}
	has, err := target.Edges.RolesOrErr()
	if err != nil {
		return err
	}
	for _, r := range has {
		for _, permission := range r.Permissions {
			if !p.May(permission) {
				return above
			}
		}
	}
	return nil
}

// keepOwner refuses with 409 if the tenant has no active owner. Its query starts at the role, so
// that its cost does not depend on the number of users.
func keepOwner(ctx context.Context, tx *ent.Client) error {
	p, _ := principal.FromContext(ctx)
	exists, err := tx.RoleAssignment.Query().Where(
		roleassignment.HasRoleWith(role.TenantID(p.TenantID), role.Name(Owner), role.IsSystem(true)),
		roleassignment.HasUserWith(user.IsActive(true)),
	).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for an owner: %w", err)
	}
	if !exists {
		return problem.Conflict("last_owner", "The tenant must have an active owner.")
	}
	return nil
}

// difference returns the roles of a that are not in b.
func difference(a, b []*ent.Role) []*ent.Role {
	return slices.DeleteFunc(slices.Clone(a), func(r *ent.Role) bool {
		return slices.ContainsFunc(b, func(other *ent.Role) bool { return other.ID == r.ID })
	})
}
