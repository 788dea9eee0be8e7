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

// CreateSystem gives a new tenant its system roles. The context must act for that tenant.
func CreateSystem(ctx context.Context, client *ent.Client) error {
	administration := []Permission{UsersRead, UsersWrite, RolesRead, RolesWrite, TenantRead, SessionsRead, SessionsWrite}
	if err := client.Role.CreateBulk(
		client.Role.Create().SetName(Owner).SetDescription("Everything in the tenant").SetPermissions(All()).SetIsSystem(true),
		client.Role.Create().SetName(Admin).SetDescription("Users, roles and sessions").SetPermissions(administration).SetIsSystem(true),
		client.Role.Create().SetName(Member).SetDescription("A user without administrative rights").SetIsSystem(true),
	).Exec(ctx); err != nil {
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
