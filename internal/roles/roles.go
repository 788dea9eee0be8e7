package roles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/ent/schema"
	"tenantry/internal/database"
	"tenantry/internal/names"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// maxName and maxDescription are the longest texts of a role, in code points, after NFC, which may
// lengthen what the contract accepts.
const (
	maxName        = 64
	maxDescription = 500
)

// Roles manages the roles of the context's tenant and their assignments.
type Roles struct{ client *ent.Client }

// New returns the Roles of a database.
func New(client *ent.Client) *Roles { return &Roles{client} }

// Change is a change of a role. A nil field is unchanged.
type Change struct {
	Name, Description *string
	Permissions       *[]Permission
}

// List returns the roles by name.
func (r *Roles) List(ctx context.Context) ([]*ent.Role, error) {
	all, err := r.client.Role.Query().Order(role.ByName()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return all, nil
}

// Get returns a role: 404 if there is no such role.
func (r *Roles) Get(ctx context.Context, id uuid.UUID) (*ent.Role, error) {
	return orNotFound(r.client.Role.Get(ctx, id))
}

// orNotFound returns a role that was read: 404 if there is no such role.
func orNotFound(r *ent.Role, err error) (*ent.Role, error) {
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read role: %w", err)
	}
	return r, nil
}

// Create creates a role: 403 for a permission that the caller lacks, 409 for a name that is taken.
func (r *Roles) Create(ctx context.Context, change Change) (*ent.Role, error) {
	if err := change.check(ctx); err != nil {
		return nil, err
	}
	var created *ent.Role
	err := database.WithTx(ctx, r.client, func(tx *ent.Client) (err error) {
		created, err = tx.Role.Create().SetName(*change.Name).SetNillableDescription(change.Description).
			SetPermissions(*change.Permissions).Save(ctx)
		return writeError(err, "create role")
	})
	return created, err
}

// Update changes a role: 403 for a system role, and if the old or the new role has a permission
// that the caller lacks.
func (r *Roles) Update(ctx context.Context, id uuid.UUID, change Change) (*ent.Role, error) {
	var changed *ent.Role
	err := r.change(ctx, id, func(tx *ent.Client, old *ent.Role) (err error) {
		if err := change.check(ctx); err != nil {
			return err
		}
		if change.Name != nil && *change.Name == old.Name {
			change.Name = nil // an unchanged name is not checked for uniqueness
		}
		update := tx.Role.UpdateOne(old).SetNillableName(change.Name).SetNillableDescription(change.Description)
		if change.Permissions != nil {
			update.SetPermissions(*change.Permissions)
		}
		changed, err = update.Save(ctx)
		return writeError(err, "update role")
	})
	return changed, err
}

// change locks a role and runs do in the same transaction: 404 if there is no such role, 403 for a
// system role, and for a role with a permission that the caller lacks. The lock prevents a
// concurrent change of its permissions.
func (r *Roles) change(ctx context.Context, id uuid.UUID, do func(*ent.Client, *ent.Role) error) error {
	return database.WithTx(ctx, r.client, func(tx *ent.Client) error {
		q := tx.Role.Query().Where(role.ID(id))
		q.Modify(database.LockRow)
		old, err := orNotFound(q.Only(ctx))
		if err != nil {
			return err
		}
		if old.IsSystem {
			return problem.Forbidden("system_role", "A system role cannot be changed or deleted.")
		}
		if err := requirePermissions(ctx, old.Permissions); err != nil {
			return err
		}
		return do(tx, old)
	})
}

// check refuses invalid values, and permissions that the caller lacks (ASVS 8.2.1). It normalises
// the change.
func (c *Change) check(ctx context.Context) error {
	var fields []problem.Field
	if c.Name != nil {
		name, err := names.Label(*c.Name)
		if err == nil && utf8.RuneCountInString(name) > maxName {
			err = errors.New("is too long")
		}
		if c.Name = &name; err != nil {
			fields = append(fields, problem.Field{Pointer: "/name", Detail: err.Error()})
		}
	}
	if c.Description != nil {
		description, err := names.Text(*c.Description)
		if err == nil && utf8.RuneCountInString(description) > maxDescription {
			err = errors.New("is too long")
		}
		if err != nil {
			fields = append(fields, problem.Field{Pointer: "/description", Detail: err.Error()})
		}
	}
	if c.Permissions != nil {
		for i, p := range *c.Permissions {
			if !assignable(p) {
				fields = append(fields, problem.Field{Pointer: "/permissions/" + strconv.Itoa(i),
					Detail: "is not a permission"})
			}
		}
		sorted := slices.Compact(slices.Sorted(slices.Values(*c.Permissions)))
		c.Permissions = &sorted
	}
	if len(fields) > 0 {
		return problem.Invalid(fields...)
	}
	if c.Permissions == nil {
		return nil
	}
	return requirePermissions(ctx, *c.Permissions)
}

// requirePermissions returns 403 unless the caller has all of the permissions.
func requirePermissions(ctx context.Context, permissions []Permission) error {
	p, _ := principal.FromContext(ctx)
	for _, permission := range permissions {
		if !p.May(permission) {
			return problem.Forbidden("forbidden", "You lack the permission "+permission+".")
		}
	}
	return nil
}

// writeError returns the error of a write of a role: 409 for a name that is taken and for too many
// roles.
func writeError(err error, action string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, schema.ErrRoleNameTaken), sqlgraph.IsUniqueConstraintError(err):
		return problem.Conflict("role_name_taken",
			"Another role has the name, or the name resembles that of a system role.")
	case errors.Is(err, schema.ErrTooManyRoles):
		return problem.Conflict("too_many_roles", "The tenant has the maximum of "+strconv.Itoa(schema.MaxRoles)+
			" roles.")
	default:
		return fmt.Errorf("%s: %w", action, err)
	}
}
