package main

import (
	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func userCommand() *cobra.Command {
	return group("user", "Manage users on the database itself", createUser(), listUsers(), disableUser(), setPassword())
}

func listUsers() *cobra.Command {
	var slug string
	var asJSON bool
	cmd := configured(config.Load, "list", "List the users of a tenant, the newest first", func(cmd *cobra.Command, c server.Commands) error {
		return c.UserList(cmd.Context(), slug, asJSON)
	}, config.Database, config.Tenant)
	inTenant(cmd, &slug)
	asLines(cmd, &asJSON)
	return cmd
}

func disableUser() *cobra.Command {
	var slug string
	cmd := configured(config.Load, "disable EMAIL", "Make a user inactive, and sign them out everywhere", func(cmd *cobra.Command, c server.Commands) error {
		return c.UserDisable(cmd.Context(), slug, cmd.Flags().Arg(0))
	}, config.Database, config.Tenant)
	cmd.Args = cobra.ExactArgs(1)
	inTenant(cmd, &slug)
	return cmd
}

func setPassword() *cobra.Command {
	var slug string
	var stdin bool
	cmd := configured(config.Load, "set-password EMAIL", "Set the password of a user, sign them out everywhere, and unlink their identity at a provider", func(cmd *cobra.Command, c server.Commands) error {
		return c.UserSetPassword(cmd.Context(), slug, cmd.Flags().Arg(0), passwordFrom(cmd, stdin))
	}, config.Database, config.Tenant, config.Passwords)
	cmd.Args = cobra.ExactArgs(1)
	inTenant(cmd, &slug)
	withPassword(cmd, &stdin)
	return cmd
}

func createUser() *cobra.Command {
	var u server.NewUser
	var stdin bool
	cmd := configured(config.Load, "create", "Create a user", func(cmd *cobra.Command, c server.Commands) error {
		return c.UserCreate(cmd.Context(), u, passwordFrom(cmd, stdin))
	}, config.Database, config.Tenant, config.Passwords)
	cmd.Flags().StringVar(&u.Email, "email", "", "e-mail address")
	inTenant(cmd, &u.Tenant)
	cmd.Flags().StringVar(&u.FullName, "full-name", "", "full name")
	cmd.Flags().StringVar(&u.Role, "role", "member", "system role: owner, admin or member")
	cmd.Flags().BoolVar(&u.Superuser, "superuser", false, "may do everything in every tenant")
	withPassword(cmd, &stdin)
	_ = cmd.MarkFlagRequired("email")
	return cmd
}
