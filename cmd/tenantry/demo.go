package main

import (
	"os"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func demoCommand() *cobra.Command {
	var data server.DemoData
	var stdin bool
	cmd := configured(config.Load, "demo", "Fill a database with made-up tenants, to try it at a realistic size", func(cmd *cobra.Command, c server.Commands) error {
		return c.Demo(cmd.Context(), data, passwordFrom(cmd, stdin), os.Stderr)
	}, config.Database, config.Passwords)
	cmd.Flags().IntVar(&data.Tenants, "tenants", 100, "how many tenants; the first has a fifth of all users")
	cmd.Flags().IntVar(&data.Users, "users", 10_000, "how many users")
	cmd.Flags().Uint64Var(&data.Seed, "seed", 1, "equal seeds make equal data on one day")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password of every user from standard input (default: nobody has one)")
	return cmd
}
