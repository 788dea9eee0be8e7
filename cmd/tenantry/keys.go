package main

import (
	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

func keysCommand() *cobra.Command {
	var now bool
	rotate := configured(config.LoadServer, "rotate", "Publish the next key, which signs when verifiers have had the time to fetch it",
		func(cmd *cobra.Command, c server.Commands) error { return c.KeysRotate(cmd.Context(), now) }, config.Database, config.Keys)
	rotate.Flags().BoolVar(&now, "now", false, "let it sign at once; verifiers that keep the key set refuse its tokens until they fetch it again")
	revoke := configured(config.LoadServer, "revoke KID", "Delete a key; every token that it has signed is refused",
		func(cmd *cobra.Command, c server.Commands) error {
			return c.KeysRevoke(cmd.Context(), cmd.Flags().Arg(0))
		}, config.Database, config.Keys)
	revoke.Args = cobra.ExactArgs(1)
	var asJSON bool
	list := configured(config.Load, "list", "List the keys", func(cmd *cobra.Command, c server.Commands) error {
		return c.KeysList(cmd.Context(), asJSON)
	}, config.Database)
	asLines(list, &asJSON)
	return group("keys", "Manage the keys that sign access tokens", rotate, revoke, list)
}
