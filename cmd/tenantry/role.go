package main

import (
	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func roleCommand() *cobra.Command {
	var slug string
	var asJSON bool
	list := configured(config.Load, "list", "List the roles of a tenant", func(cmd *cobra.Command, c server.Commands) error {
		return c.RoleList(cmd.Context(), slug, asJSON)
	}, config.Database, config.Tenant)
	inTenant(list, &slug)
	asLines(list, &asJSON)
	return group("role", "Read roles on the database itself", list)
}
