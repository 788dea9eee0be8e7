package main

import (
	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func tenantCommand() *cobra.Command {
	var created server.NewTenant
	var stdin, asJSON bool
	create := configured(config.Load, "create SLUG", "Create a tenant with its first owner", func(cmd *cobra.Command, c server.Commands) error {
		created.Slug = cmd.Flags().Arg(0)
		return c.TenantCreate(cmd.Context(), created, passwordFrom(cmd, stdin))
	}, config.Database, config.Passwords)
	create.Args = cobra.ExactArgs(1)
	create.Flags().StringVar(&created.Name, "name", "", "name (default: the slug)")
	create.Flags().StringVar(&created.Owner, "owner", "", "e-mail address of the first owner")
	withPassword(create, &stdin)
	_ = create.MarkFlagRequired("owner")
	list := configured(config.Load, "list", "List the tenants, the newest first", func(cmd *cobra.Command, c server.Commands) error {
		return c.TenantList(cmd.Context(), asJSON)
	}, config.Database)
	asLines(list, &asJSON)
	suspend := configured(config.Load, "suspend SLUG", "Refuse every token, refresh and sign-in of a tenant", func(cmd *cobra.Command, c server.Commands) error {
		return c.TenantSetActive(cmd.Context(), cmd.Flags().Arg(0), false)
	}, config.Database)
	suspend.Args = cobra.ExactArgs(1)
	resume := configured(config.Load, "resume SLUG", "Let a suspended tenant go on", func(cmd *cobra.Command, c server.Commands) error {
		return c.TenantSetActive(cmd.Context(), cmd.Flags().Arg(0), true)
	}, config.Database)
	resume.Args = cobra.ExactArgs(1)
	return group("tenant", "Manage tenants on the database itself", create, list, suspend, resume)
}
