package main

import (
	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func migrateCommand() *cobra.Command {
	return group("migrate", "Bring the schema of the database up or down", down(), finish(),
		configured(config.Load, "up", "Apply every pending migration", func(cmd *cobra.Command, c server.Commands) error {
			return c.MigrateUp(cmd.Context())
		}, config.Database),
		configured(config.Load, "status", "List the migrations and whether they are applied", func(cmd *cobra.Command, c server.Commands) error {
			return c.MigrateStatus(cmd.Context())
		}, config.Database))
}

func finish() *cobra.Command {
	var force bool
	cmd := configured(config.Load, "finish", "End what instances of the previous version need, once none of them runs",
		func(cmd *cobra.Command, c server.Commands) error { return c.MigrateFinish(cmd.Context(), force) }, config.Database)
	cmd.Flags().BoolVar(&force, "force", false, "do not look for running instances of the previous version")
	return cmd
}

func down() *cobra.Command {
	var to, devURL string
	var yes bool
	cmd := configured(config.Load, "down", "Go back to an older version", func(cmd *cobra.Command, c server.Commands) error {
		return c.MigrateDown(cmd.Context(), to, devURL, yes)
	}, config.Database)
	cmd.Flags().StringVar(&to, "to", "", "version to go back to; 0 is an empty database")
	cmd.Flags().StringVar(&devURL, "dev-url", "", "empty Postgres database to plan in (default: one is made and dropped)")
	cmd.Flags().BoolVar(&yes, "yes", false, "run the plan and lose the data that it names")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}
