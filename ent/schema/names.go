package schema

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	gen "tenantry/ent"
	"tenantry/ent/hook"
	"tenantry/ent/role"
	"tenantry/ent/tenant"
	"tenantry/internal/names"
)

// MaxRoles is the maximum number of roles per tenant.
const MaxRoles = 200

var (
	// ErrRoleNameTaken is returned by a write that gives a role the name of another role of the
	// tenant.
	ErrRoleNameTaken = errors.New("another role of the tenant has the name")
	// ErrTooManyRoles is returned by a create in a tenant that has MaxRoles roles.
	ErrTooManyRoles = errors.New("the tenant has the maximum number of roles")
)

// cleanText stores fields as names.Text returns them, and denies a write of a text that names.Text
// refuses. Features check first, to answer 422; the hook covers every other caller.
func cleanText(fields ...string) ent.Hook {
	clean := func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			for _, field := range fields {
				given, ok := m.Field(field)
				if !ok {
					continue
				}
				text, err := names.Text(fmt.Sprint(given))
				if err == nil {
					err = m.SetField(field, text)
				}
				if err != nil {
					return nil, fmt.Errorf("%s.%s %w", m.Type(), field, err)
				}
			}
			return next.Mutate(ctx, m)
		})
	}
	return hook.On(clean, ent.OpCreate|ent.OpUpdate|ent.OpUpdateOne)
}

// distinctRoleName stores the name of a role as names.Label returns it. It denies the name of
// another role of the tenant (names.Key) and a name that resembles a system role's
// (names.Resembles). It locks the tenant and compares in Go, so that both databases agree and roles
// stored by an earlier version are included: a unique index would need a key that the earlier
// version does not write. The caller must be in a transaction; otherwise the lock ends before the
// write.
func distinctRoleName() ent.Hook {
	distinct := func(next ent.Mutator) ent.Mutator {
		return hook.RoleFunc(func(ctx context.Context, m *gen.RoleMutation) (ent.Value, error) {
			given, ok := m.Name()
			if !ok {
				return next.Mutate(ctx, m)
			}
			if m.Op().Is(ent.OpUpdate) {
				return nil, errors.New("roles are renamed one at a time")
			}
			name, err := names.Label(given)
			if err != nil {
				return nil, fmt.Errorf("name of role %w", err)
			}
			m.SetName(name)
			// The first roles of a new tenant are the system roles.
			if system, _ := m.IsSystem(); !system {
				err = checkRoleName(ctx, m, name)
			}
			if err != nil {
				return nil, err
			}
			return next.Mutate(ctx, m)
		})
	}
	return hook.On(distinct, ent.OpCreate|ent.OpUpdate|ent.OpUpdateOne)
}

// checkRoleName compares a name with those of the other roles of the tenant.
func checkRoleName(ctx context.Context, m *gen.RoleMutation, name string) error {
	tenantID, ok := m.TenantID()
	if !ok {
		var err error
		if tenantID, err = m.OldTenantID(ctx); err != nil {
			return fmt.Errorf("read tenant of role: %w", err)
		}
	}
	client := m.Client()
	lock := client.Tenant.Query().Where(tenant.ID(tenantID)).Modify(func(s *sql.Selector) {
		if s.Dialect() == dialect.Postgres {
			s.For("NO KEY UPDATE") // does not block inserts that reference the tenant
		}
	})
	if _, err := lock.Select(tenant.FieldID).Strings(ctx); err != nil {
		return fmt.Errorf("lock tenant of role: %w", err)
	}
	others, err := client.Role.Query().Where(role.TenantID(tenantID)).Select(role.FieldID, role.FieldName,
		role.FieldIsSystem).All(ctx)
	if err != nil {
		return fmt.Errorf("read names of roles: %w", err)
	}
	if m.Op().Is(ent.OpCreate) && len(others) >= MaxRoles {
		return ErrTooManyRoles
	}
	own, _ := m.ID()
	key := names.Key(name)
	for _, other := range others {
		if other.ID != own && (names.Key(other.Name) == key || other.IsSystem && names.Resembles(name, other.Name)) {
			return ErrRoleNameTaken
		}
	}
	return nil
}
