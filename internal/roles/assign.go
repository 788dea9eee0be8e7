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

// Set gives a user these roles and no others, and returns them by name: 404 for a user who does not
// exist, 422 for a role that does not, 403 for what is above the caller, 409 for the last owner.
// All of it is done, or nothing.
func (r *Roles) Set(ctx context.Context, userID uuid.UUID, roleIDs []uuid.UUID) ([]*ent.Role, error) {
	return r.assign(ctx, userID, func(ctx context.Context, tx *ent.Client, _ []*ent.Role) ([]*ent.Role, error) {
		return named(ctx, tx, roleIDs)
	})
}

// Grant gives roles to a user who has none: 422 for a role that does not exist, 403 for one above
// the caller.
func Grant(ctx context.Context, tx *ent.Client, userID uuid.UUID, roleIDs []uuid.UUID) error {
	granted, err := named(ctx, tx, roleIDs)
	if err != nil {
		return err
	}
	if err := heldAll(ctx, granted); err != nil {
		return err
	}
	return give(ctx, tx, userID, granted)
}

// named returns the roles of these ids by name: 422 if one does not exist.
func named(ctx context.Context, tx *ent.Client, ids []uuid.UUID) ([]*ent.Role, error) {
	q := tx.Role.Query().Where(role.IDIn(ids...)).Order(role.ByName())
	q.Modify(database.KeepRow)
	found, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	var fields []problem.Field
	for i, id := range ids {
		if !slices.ContainsFunc(found, func(r *ent.Role) bool { return r.ID == id }) {
			fields = append(fields, problem.Field{Pointer: "/role_ids/" + strconv.Itoa(i),
				Detail: "is not a role of this tenant"})
		}
	}
	if len(fields) > 0 {
		return nil, problem.Invalid(fields...)
	}
	return found, nil
}

// Add gives a role to a user who may have it already. The errors are those of Set, with 404 for
// either.
func (r *Roles) Add(ctx context.Context, userID, roleID uuid.UUID) error {
	_, err := r.assign(ctx, userID, func(ctx context.Context, tx *ent.Client, has []*ent.Role) ([]*ent.Role, error) {
		q := tx.Role.Query().Where(role.ID(roleID))
		q.Modify(database.KeepRow)
		added, err := found(q.Only(ctx))
		if err != nil || slices.ContainsFunc(has, func(h *ent.Role) bool { return h.ID == roleID }) {
			return has, err
		}
		return append(slices.Clone(has), added), nil
	})
	return err
}

// Remove takes a role from a user who may not have it. The errors are those of Set, with 404 for
// either.
func (r *Roles) Remove(ctx context.Context, userID, roleID uuid.UUID) error {
	_, err := r.assign(ctx, userID, func(ctx context.Context, tx *ent.Client, has []*ent.Role) ([]*ent.Role, error) {
		if _, err := (&Roles{tx}).Get(ctx, roleID); err != nil {
			return nil, err
		}
		return slices.DeleteFunc(slices.Clone(has), func(h *ent.Role) bool { return h.ID == roleID }), nil
	})
	return err
}

// assign changes the roles of a user to what want makes of those that the user has.
func (r *Roles) assign(ctx context.Context, userID uuid.UUID,
	want func(context.Context, *ent.Client, []*ent.Role) ([]*ent.Role, error)) (wanted []*ent.Role, err error) {
	err = Guarded(ctx, r.client, userID, func(tx *ent.Client, target *ent.User) error {
		has, err := target.Edges.RolesOrErr()
		if err != nil {
			return err
		}
		if wanted, err = want(ctx, tx, has); err != nil {
			return err
		}
		added, removed := difference(wanted, has), difference(has, wanted)
		if err := heldAll(ctx, slices.Concat(added, removed)); err != nil {
			return err
		}
		return change(ctx, tx, userID, added, removed)
	})
	return wanted, err
}

// heldAll refuses roles with a permission that the caller does not hold.
func heldAll(ctx context.Context, roles []*ent.Role) error {
	for _, r := range roles {
		if err := held(ctx, r.Permissions); err != nil {
			return err
		}
	}
	return nil
}

func change(ctx context.Context, tx *ent.Client, userID uuid.UUID, added, removed []*ent.Role) error {
	if len(removed) > 0 {
		var ids []uuid.UUID
		for _, r := range removed {
			ids = append(ids, r.ID)
		}
		if _, err := tx.RoleAssignment.Delete().Where(roleassignment.UserID(userID),
			roleassignment.RoleIDIn(ids...)).Exec(ctx); err != nil {
			return fmt.Errorf("take roles: %w", err)
		}
	}
	return give(ctx, tx, userID, added)
}

// give assigns roles to a user who has none of them.
func give(ctx context.Context, tx *ent.Client, userID uuid.UUID, given []*ent.Role) error {
	if len(given) == 0 {
		return nil
	}
	var creates []*ent.RoleAssignmentCreate
	for _, r := range given {
		creates = append(creates, tx.RoleAssignment.Create().SetUserID(userID).SetRoleID(r.ID))
	}
	if err := tx.RoleAssignment.CreateBulk(creates...).Exec(ctx); err != nil {
		return fmt.Errorf("give roles: %w", err)
	}
	return nil
}

// Guarded runs a change of a user in one transaction: 404 if there is no such user, 403 if the user
// is above the caller, 409 if the tenant would be left without an owner who can act. Two such
// changes of a tenant wait for each other, so that two owners cannot remove each other. The user
// comes with the roles loaded.
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
		if err := below(p, target); err != nil {
			return err
		}
		if err := do(tx, target); err != nil {
			return err
		}
		return ownerLeft(ctx, tx)
	})
}

// below refuses a user who holds what the caller does not (ASVS 8.2.1).
func below(p principal.Principal, target *ent.User) error {
	above := problem.Forbidden("forbidden", "The user holds permissions that you do not hold.")
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

// ownerLeft goes from the role to those who have it, however many users the tenant has.
func ownerLeft(ctx context.Context, tx *ent.Client) error {
	p, _ := principal.FromContext(ctx)
	left, err := tx.RoleAssignment.Query().Where(
		roleassignment.HasRoleWith(role.TenantID(p.TenantID), role.Name(Owner), role.IsSystem(true)),
		roleassignment.HasUserWith(user.IsActive(true)),
	).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for an owner: %w", err)
	}
	if !left {
		return problem.Conflict("last_owner", "The tenant must keep an owner who is active.")
	}
	return nil
}

// difference returns the roles of a that are not in b.
func difference(a, b []*ent.Role) []*ent.Role {
	return slices.DeleteFunc(slices.Clone(a), func(r *ent.Role) bool {
		return slices.ContainsFunc(b, func(other *ent.Role) bool { return other.ID == r.ID })
	})
}
