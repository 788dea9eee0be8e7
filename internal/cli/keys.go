package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tenantry/ent/signingkey"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/server"
	"tenantry/internal/signing"
)

func (env environment) keysCommand() *cobra.Command {
	return group("keys", "Manage the keys that sign access tokens", env.rotateKeys(), env.revokeKey(), env.listKeys())
}

// rotateKeys publishes the next signing key.
func (env environment) rotateKeys() *cobra.Command {
	const short = "Publish the next key, which signs after verifiers had time to fetch it"
	var now bool
	cmd := env.configured(config.LoadServer, "rotate", short, func(ctx context.Context, i *invocation) error {
		return i.withKeys(ctx, func(keys *signing.Keys) error {
			kid, begins, err := keys.Rotate(ctx, now)
			if err != nil {
				return err
			}
			fmt.Fprintf(i.out, "%s signs from %s\n", kid, begins.UTC().Format(time.RFC3339))
			return nil
		})
	}, config.Database, config.Keys)
	cmd.Flags().BoolVar(&now, "now", false,
		"sign with it at once; verifiers that cache the key set refuse its tokens until they fetch it again")
	return cmd
}

// revokeKey deletes a signing key. Its tokens are refused within a second.
func (env environment) revokeKey() *cobra.Command {
	cmd := env.configured(config.LoadServer, "revoke KID", "Delete a key; its tokens are refused",
		func(ctx context.Context, i *invocation) error {
			return i.withKeys(ctx, func(keys *signing.Keys) error {
				kid := i.args[0]
				revoked, err := keys.Revoke(ctx, kid)
				if err == nil && !revoked {
					err = fmt.Errorf("signing key %s not found", kid)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(i.out, "revoked %s\n", kid)
				return nil
			})
		}, config.Database, config.Keys)
	cmd.Args = cobra.ExactArgs(1)
	return cmd
}

// listKeys lists the signing keys, oldest first.
func (env environment) listKeys() *cobra.Command {
	var asJSON bool
	cmd := env.configured(config.Load, "list", "List the keys", func(ctx context.Context, i *invocation) error {
		return i.inDatabase(ctx, func(db *database.DB) error {
			keys, err := db.Client.SigningKey.Query().Order(signingkey.ByCreatedAt(), signingkey.ByID()).
				All(principal.System(ctx, "command line: signing keys belong to no tenant"))
			if err != nil {
				return fmt.Errorf("list signing keys: %w", err)
			}
			list := i.list(asJSON, "kid", "alg", "state", "signs_from", "verifies_until")
			for _, k := range keys {
				until := "-"
				if k.RetireAt != nil {
					until = k.RetireAt.UTC().Format(time.RFC3339)
				}
				list.add(k.Kid, k.Alg, k.State, k.NotBefore.UTC().Format(time.RFC3339), until)
			}
			return list.close()
		})
	}, config.Database)
	asLines(cmd, &asJSON)
	return cmd
}

// withKeys runs do with the signing keys of a migrated database.
func (i *invocation) withKeys(ctx context.Context, do func(*signing.Keys) error) error {
	cfg, err := server.WithSecret(ctx, i.config, i.log)
	if err != nil {
		return err
	}
	return i.inDatabase(ctx, func(db *database.DB) error {
		keys, err := signing.Open(ctx, db.Client, server.SigningOptions(cfg, server.Clock))
		if err != nil {
			return err
		}
		return do(keys)
	})
}
