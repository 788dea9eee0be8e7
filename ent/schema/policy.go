package schema

import (
	"context"
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	gen "tenantry/ent"
	"tenantry/ent/intercept"
	"tenantry/ent/privacy"
	"tenantry/ent/role"
	"tenantry/ent/user"
	"tenantry/internal/principal"
)

// The rules of this file return only Skip or Deny. An Allow would end the evaluation before the
// rules of the entity's other mixins.

// filterQuery adds "column = the principal's tenant" to every query, and denies a query without a
// principal.
func filterQuery(column string) privacy.QueryRule {
	return privacy.QueryRuleFunc(func(ctx context.Context, q ent.Query) error {
		p, err := actor(ctx)
		if err != nil || p.IsSystem() {
			return err
		}
		query, err := intercept.NewQuery(q)
		if err != nil {
			return privacy.Denyf("filter query by tenant: %w", err)
		}
		query.WhereP(sql.FieldEQ(column, p.TenantID))
		return privacy.Skip
	})
}

// filterMutation does the same for every update and delete.
func filterMutation(column string) privacy.MutationRule {
	return privacy.MutationRuleFunc(func(ctx context.Context, m ent.Mutation) error {
		p, err := actor(ctx)
		if err != nil || p.IsSystem() || m.Op().Is(ent.OpCreate) {
			return err
		}
		filtered, ok := m.(interface{ WhereP(...func(*sql.Selector)) })
		if !ok {
			return privacy.Denyf("%T cannot be filtered by tenant", m)
		}
		filtered.WhereP(sql.FieldEQ(column, p.TenantID))
		return privacy.Skip
	})
}

// setTenant sets the tenant of a new row to the principal's and denies any other. The system must
// set the tenant explicitly.
func setTenant() privacy.MutationRule {
	return privacy.MutationRuleFunc(func(ctx context.Context, m ent.Mutation) error {
		p, err := actor(ctx)
		if err != nil || p.IsSystem() || !m.Op().Is(ent.OpCreate) {
			return err
		}
		owned, ok := m.(interface {
			TenantID() (uuid.UUID, bool)
			SetTenantID(uuid.UUID)
		})
		if !ok {
			return privacy.Denyf("%T has no tenant", m)
		}
		if id, set := owned.TenantID(); set && id != p.TenantID {
			return privacy.Denyf("%s of another tenant", m.Type())
		}
		owned.SetTenantID(p.TenantID)
		return privacy.Skip
	})
}

// systemOnly denies every principal except the system.
func systemOnly() privacy.QueryMutationRule {
	return privacy.ContextQueryMutationRule(func(ctx context.Context) error {
		if p, _ := actor(ctx); !p.IsSystem() {
			return privacy.Denyf("reserved to the system")
		}
		return privacy.Skip
	})
}

// sameTenant denies an assignment whose user or role belongs to another tenant. It also applies to
// the system, which can write in every tenant but must not join rows of two tenants.
func sameTenant() privacy.MutationRule {
	return privacy.RoleAssignmentMutationRuleFunc(func(ctx context.Context, m *gen.RoleAssignmentMutation) error {
		tenantID, hasTenant := m.TenantID()
		userID, hasUser := m.UserID()
		roleID, hasRole := m.RoleID()
		if !hasTenant || !hasUser || !hasRole {
			return privacy.Denyf("role assignment without tenant, user or role")
		}
		client := m.Client()
		users, err := client.User.Query().Where(user.ID(userID), user.TenantID(tenantID)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look up user of role assignment: %w", err)
		}
		roles, err := client.Role.Query().Where(role.ID(roleID), role.TenantID(tenantID)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look up role of role assignment: %w", err)
		}
		if !users || !roles {
			return privacy.Denyf("role assignment across tenants")
		}
		return privacy.Skip
	})
}

// ownUser denies a row that refers to a user of another tenant. A row of the principal's own user
// needs no query: setTenant has set its tenant.
func ownUser() privacy.MutationRule {
	return privacy.MutationRuleFunc(func(ctx context.Context, m ent.Mutation) error {
		owned, ok := m.(interface {
			TenantID() (uuid.UUID, bool)
			UserID() (uuid.UUID, bool)
			Client() *gen.Client
		})
		if !ok {
			return privacy.Denyf("%T has no user", m)
		}
		userID, ok := owned.UserID()
		if !ok {
			return privacy.Skip
		}
		if p, _ := principal.FromContext(ctx); !p.IsSystem() && p.UserID == userID {
			return privacy.Skip
		}
		tenantID, _ := owned.TenantID()
		exists, err := owned.Client().User.Query().Where(user.ID(userID), user.TenantID(tenantID)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look up user of %s: %w", m.Type(), err)
		}
		if !exists {
			return privacy.Denyf("%s for a user of another tenant", m.Type())
		}
		return privacy.Skip
	})
}

// actor returns the principal of the context and Skip, or Deny without a principal.
func actor(ctx context.Context) (principal.Principal, error) {
	p, ok := principal.FromContext(ctx)
	if !ok {
		return principal.Principal{}, privacy.Denyf("no principal in the context")
	}
	if p.IsSystem() {
		return p, privacy.Skip
	}
	return p, nil
}
