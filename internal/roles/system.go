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

// The system roles. Every tenant has them, and nobody changes them.
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

// Poses reports whether the name of a role that is no system role may be taken for that of one.
// Such a role cannot be created; one that an earlier version has stored is not named in tokens.
func Poses(name string) bool {
	return slices.ContainsFunc([]string{Owner, Admin, Member}, func(system string) bool {
		return names.Resembles(name, system)
	})
}

// CreateSystem gives a new tenant its system roles. The context must act for that tenant.
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

// assignSystem gives the system role of a name ($3) to a user ($1) of a tenant ($2). It is one
// statement that joins the two by their tenant, so that the policy of assignments has nothing left
// to look up.
const assignSystem = `INSERT INTO user_roles (tenant_id, user_id, role_id, created_at, updated_at)
SELECT u.tenant_id, u.id, r.id, u.created_at, u.created_at FROM users AS u JOIN roles AS r ON r.tenant_id = u.tenant_id
WHERE u.id = $1 AND u.tenant_id = $2 AND r.name = $3 AND r.is_system`

// AssignSystem gives a system role to a user of the tenant that the context acts for, who was made
// just now.
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
