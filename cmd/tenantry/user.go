package main

import (
	"io"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Manage users on the database itself"}
	cmd.AddCommand(createUser())
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
