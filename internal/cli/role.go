package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/internal/config"
	"tenantry/internal/database"
)

func (env environment) roleCommand() *cobra.Command {
	return group("role", "Read roles in the database", env.listRoles())
}

func (env environment) listRoles() *cobra.Command {
	var slug string
	var asJSON bool
	cmd := env.configured(config.Load, "list", "List the roles of a tenant",
		func(ctx context.Context, i *invocation) error {
			return i.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, _ *ent.Tenant) error {
				all, err := db.Client.Role.Query().Order(role.ByName()).All(ctx)
				if err != nil {
					return fmt.Errorf("list roles: %w", err)
				}
				list := i.list(asJSON, "id", "name", "system", "permissions")
				for _, r := range all {
					list.add(r.ID, r.Name, r.IsSystem, strings.Join(r.Permissions, ","))
				}
				return list.close()
			})
		}, config.Database, config.Tenant)
	inTenant(cmd, &slug)
	asLines(cmd, &asJSON)
	return cmd
}
