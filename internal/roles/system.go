package roles

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/internal/names"
	"tenantry/internal/principal"
)

// The system roles. Every tenant has them, and they cannot be changed.
const (
	Owner  = "owner"
	Admin  = "admin"
	Member = "member"
)

// SystemRole is a role that every tenant has.
type SystemRole struct {
	Name, Description string
	Permissions       []Permission
}

// System returns the system roles, the highest first.
func System() []SystemRole {
	administration := []Permission{UsersRead, UsersWrite, RolesRead, RolesWrite, TenantRead, SessionsRead,
		SessionsWrite}
	return []SystemRole{
		{Owner, "Everything in the tenant", All()},
		{Admin, "Users, roles and sessions", administration},
		{Member, "A user without administrative rights", []Permission{}},
	}
}

// ResemblesSystem reports whether the name of a role resembles that of a system role. Such a role
// cannot be created. Tokens omit the name of one that an earlier version has stored.
func ResemblesSystem(name string) bool {
	return slices.ContainsFunc([]string{Owner, Admin, Member}, func(system string) bool {
		return names.Resembles(name, system)
	})
}

// CreateSystem creates the system roles of the context's tenant, which must be new.
func CreateSystem(ctx context.Context, client *ent.Client) error {
	var rows []*ent.RoleCreate
	for _, r := range System() {
		rows = append(rows, client.Role.Create().SetName(r.Name).SetDescription(r.Description).
			SetPermissions(r.Permissions).SetIsSystem(true))
	}
	if err := client.Role.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("create system roles: %w", err)
	}
	return nil
}

// assignSystem assigns the system role of a name ($3) to a user ($1) of a tenant ($2). The
// statement joins both by their tenant, so that the privacy policy of assignments needs no query.
const assignSystem = `INSERT INTO user_roles (tenant_id, user_id, role_id, created_at, updated_at)
SELECT u.tenant_id, u.id, r.id, u.created_at, u.created_at FROM users AS u JOIN roles AS r ON r.tenant_id = u.tenant_id
WHERE u.id = $1 AND u.tenant_id = $2 AND r.name = $3 AND r.is_system`

// AssignSystem assigns a system role to a new user of the context's tenant.
func AssignSystem(ctx context.Context, client *ent.Client, userID uuid.UUID, name string) error {
	p, _ := principal.FromContext(ctx)
	result, err := client.ExecContext(ctx, assignSystem, userID, p.TenantID, name)
	if err != nil {
		return fmt.Errorf("assign system role %s: %w", name, err)
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = errors.New("the tenant has no such user, or no such role")
	}
	if err != nil {
		return fmt.Errorf("assign system role %s: %w", name, err)
	}
	return nil
}
