package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/database"
)

func (env environment) migrateCommand() *cobra.Command {
	return group("migrate", "Migrate the schema of the database", env.migrateDown(), env.migrateFinish(),
		env.migrateUp(), env.migrateStatus())
}

func (env environment) migrateUp() *cobra.Command {
	return env.configured(config.Load, "up", "Apply all pending migrations",
		func(ctx context.Context, i *invocation) error {
			return i.withMigrator(ctx, func(m *database.Migrator) error {
				applied, err := m.Up(ctx)
				for _, v := range applied {
					fmt.Fprintf(i.out, "applied %s %s\n", v.Version, v.Name)
				}
				if err == nil && len(applied) == 0 {
					fmt.Fprintln(i.out, "no pending migrations")
				}
				return err
			})
		}, config.Database)
}

func (env environment) migrateStatus() *cobra.Command {
	return env.configured(config.Load, "status", "List the migrations and whether they are applied",
		func(ctx context.Context, i *invocation) error {
			return i.withMigrator(ctx, func(m *database.Migrator) error {
				versions, err := m.Status(ctx)
				if err != nil {
					return err
				}
				pending := 0
				for _, v := range versions {
					state := "applied"
					if !v.Applied {
						state = "pending"
						pending++
					}
					fmt.Fprintf(i.out, "%s  %s  %s\n", v.Version, state, v.Name)
				}
				if pending == 0 {
					fmt.Fprintln(i.out, "no pending migrations")
				} else {
					fmt.Fprintf(i.out, "%d pending migrations\n", pending)
				}
				return nil
			})
		}, config.Database)
}

// migrateDown prints the plan to revert to a version, and runs it with --yes.
func (env environment) migrateDown() *cobra.Command {
	var to, devURL string
	var yes bool
	cmd := env.configured(config.Load, "down", "Revert the schema to an older version",
		func(ctx context.Context, i *invocation) error {
			return i.withMigrator(ctx, func(m *database.Migrator) error {
				plan, err := m.PlanDown(ctx, to, devURL)
				if err != nil {
					return err
				}
				if len(plan.Statements) == 0 {
					fmt.Fprintln(i.out, "nothing to revert")
					return nil
				}
				fmt.Fprintln(i.out, strings.Join(plan.Statements, ";\n")+";")
				if len(plan.Losses) > 0 {
					fmt.Fprintln(i.out, "\nThis data will be lost:\n  "+strings.Join(plan.Losses, "\n  "))
				}
				if !yes {
					return errors.New("nothing changed: add --yes to run this plan")
				}
				if err := m.Down(ctx, plan); err != nil {
					return err
				}
				fmt.Fprintln(i.out, "\ndone")
				return nil
			})
		}, config.Database)
	cmd.Flags().StringVar(&to, "to", "", "version to revert to; 0 is an empty database")
	cmd.Flags().StringVar(&devURL, "dev-url", "",
		"empty Postgres database for planning (default: a temporary one is created)")
	cmd.Flags().BoolVar(&yes, "yes", false, "run the plan, which deletes the listed data")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// migrateFinish removes what only instances of the previous version need: the notifications of the
// change log.
func (env environment) migrateFinish() *cobra.Command {
	var force bool
	cmd := env.configured(config.Load, "finish",
		"Remove compatibility with the previous version after all its instances have stopped",
		func(ctx context.Context, i *invocation) error {
			return i.inDatabase(ctx, func(db *database.DB) error {
				removed, err := db.FinishChangeLog(ctx, force)
				if err != nil {
					return err
				}
				if removed {
					fmt.Fprintln(i.out, "removed the notifications for instances of the previous version")
				} else {
					fmt.Fprintln(i.out, "nothing to finish")
				}
				return nil
			})
		}, config.Database)
	cmd.Flags().BoolVar(&force, "force", false, "do not check for running instances of the previous version")
	return cmd
}

// withMigrator runs do with a migrator.
func (i *invocation) withMigrator(ctx context.Context, do func(*database.Migrator) error) error {
	return i.open(ctx, func(db *database.DB) error { return database.WithMigrator(db, do) })
}
