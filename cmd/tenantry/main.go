// Command tenantry is the whole of Tenantry: the server and what an operator needs beside it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tenantry:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{Use: "tenantry", Short: "Self-hosted, multi-tenant identity API", SilenceUsage: true, SilenceErrors: true}
	migrate := &cobra.Command{Use: "migrate", Short: "Bring the schema of the database up or down"}
	migrate.AddCommand(down(),
		configured(config.Load, "up", "Apply every pending migration", func(cmd *cobra.Command, c server.Commands) error {
			return c.MigrateUp(cmd.Context())
		}),
		configured(config.Load, "status", "List the migrations and whether they are applied", func(cmd *cobra.Command, c server.Commands) error {
			return c.MigrateStatus(cmd.Context())
		}))
	user := &cobra.Command{Use: "user", Short: "Manage users on the database itself"}
	user.AddCommand(createUser())
	cmd.AddCommand(migrate, user,
		configured(config.LoadServer, "serve", "Serve the API", func(cmd *cobra.Command, c server.Commands) error {
			return server.Run(cmd.Context(), c.Config, c.Out, c.Log)
		}),
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(cmd *cobra.Command, _ []string) {
			info, _ := debug.ReadBuildInfo() // always there in a binary built from modules
			fmt.Fprintln(cmd.OutOrStdout(), info.Main.Version)
		}})
	return cmd
}

func down() *cobra.Command {
	var to, devURL string
	var yes bool
	cmd := configured(config.Load, "down", "Go back to an older version", func(cmd *cobra.Command, c server.Commands) error {
		return c.MigrateDown(cmd.Context(), to, devURL, yes)
	})
	cmd.Flags().StringVar(&to, "to", "", "version to go back to; 0 is an empty database")
	cmd.Flags().StringVar(&devURL, "dev-url", "", "empty Postgres database to plan in (default: one is made and dropped)")
	cmd.Flags().BoolVar(&yes, "yes", false, "run the plan and lose the data that it names")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func createUser() *cobra.Command {
	var u server.NewUser
	var stdin bool
	cmd := configured(config.Load, "create", "Create a user", func(cmd *cobra.Command, c server.Commands) error {
		var in io.Reader
		if stdin {
			in = cmd.InOrStdin()
		}
		return c.UserCreate(cmd.Context(), u, in)
	})
	cmd.Flags().StringVar(&u.Email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&u.Tenant, "tenant", "", "slug of the tenant (default: the default tenant)")
	cmd.Flags().StringVar(&u.FullName, "full-name", "", "full name")
	cmd.Flags().StringVar(&u.Role, "role", "member", "system role: owner, admin or member")
	cmd.Flags().BoolVar(&u.Superuser, "superuser", false, "may do everything in every tenant")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input (default: one is generated)")
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

// configured is a command that reads the configuration.
func configured(load config.Loader, use, short string, run func(*cobra.Command, server.Commands) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: short + ".\n\n" + config.Secrets(), Args: cobra.NoArgs}
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		return run(cmd, server.Commands{Config: cfg, Out: cmd.OutOrStdout(), Log: server.NewLogger(cfg, os.Stderr)})
	}
	return cmd
}
