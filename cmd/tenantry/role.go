package main

import (
	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func roleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "role", Short: "Read roles on the database itself"}
	var slug string
	var asJSON bool
	list := configured(config.Load, "list", "List the roles of a tenant", func(cmd *cobra.Command, c server.Commands) error {
		return c.RoleList(cmd.Context(), slug, asJSON)
	})
	inTenant(list, &slug)
	asLines(list, &asJSON)
	cmd.AddCommand(list)
	return cmd
}
