package roles

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/role"
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
	administration := []Permission{UsersRead, UsersWrite, RolesRead, RolesWrite, TenantRead, SessionsRead, SessionsWrite}
	return []SystemRole{
		{Owner, "Everything in the tenant", All()},
		{Admin, "Users, roles and sessions", administration},
		{Member, "A user without administrative rights", []Permission{}},
	}
}

// CreateSystem gives a new tenant its system roles. The context must act for that tenant.
func CreateSystem(ctx context.Context, client *ent.Client) error {
	var rows []*ent.RoleCreate
	for _, r := range System() {
		rows = append(rows, client.Role.Create().SetName(r.Name).SetDescription(r.Description).SetPermissions(r.Permissions).SetIsSystem(true))
	}
	if err := client.Role.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("create system roles: %w", err)
	}
	return nil
}

// AssignSystem gives a system role to a user of the tenant that the context acts for.
func AssignSystem(ctx context.Context, client *ent.Client, userID uuid.UUID, name string) error {
	id, err := client.Role.Query().Where(role.Name(name), role.IsSystem(true)).OnlyID(ctx)
	if err != nil {
		return fmt.Errorf("find system role %s: %w", name, err)
	}
	if err := client.RoleAssignment.Create().SetUserID(userID).SetRoleID(id).Exec(ctx); err != nil {
		return fmt.Errorf("assign system role %s: %w", name, err)
	}
	return nil
}
