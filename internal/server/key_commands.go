package server

import (
	"context"
	"fmt"
	"time"

	"tenantry/ent/signingkey"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

// KeysList lists the signing keys, oldest first.
func (c Commands) KeysList(ctx context.Context, asJSON bool) error {
	return c.database(ctx, func(db *database.DB) error {
		keys, err := db.Client.SigningKey.Query().Order(signingkey.ByCreatedAt(), signingkey.ByID()).
			All(principal.System(ctx, "command line: signing keys belong to no tenant"))
		if err != nil {
			return fmt.Errorf("list signing keys: %w", err)
		}
		list := c.list(asJSON, "kid", "alg", "state", "signs_from", "verifies_until")
		for _, k := range keys {
			until := "-"
			if k.RetireAt != nil {
				until = k.RetireAt.UTC().Format(time.RFC3339)
			}
			list.add(k.Kid, k.Alg, k.State, k.NotBefore.UTC().Format(time.RFC3339), until)
		}
		return list.end()
	})
}

// KeysRotate publishes the next signing key. With now it signs at once.
func (c Commands) KeysRotate(ctx context.Context, now bool) error {
	return c.keys(ctx, func(keys *auth.SigningKeys) error {
		kid, begins, err := keys.Rotate(ctx, now)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "%s signs from %s\n", kid, begins.UTC().Format(time.RFC3339))
		return nil
	})
}

// KeysRevoke deletes a signing key: every token that it has signed is refused within a second.
func (c Commands) KeysRevoke(ctx context.Context, kid string) error {
	return c.keys(ctx, func(keys *auth.SigningKeys) error {
		found, err := keys.Revoke(ctx, kid)
		if err == nil && !found {
			err = fmt.Errorf("there is no signing key %s", kid)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "revoked %s\n", kid)
		return nil
	})
}

// keys runs do with the signing keys of a migrated database.
func (c Commands) keys(ctx context.Context, do func(*auth.SigningKeys) error) error {
	cfg, err := withSecret(ctx, c.Config, c.Log)
	if err != nil {
		return err
	}
	return c.database(ctx, func(db *database.DB) error {
		keys, err := auth.OpenSigningKeys(ctx, db.Client, authOptions(cfg, []byte(cfg.Secret), clock, c.Log))
		if err != nil {
			return err
		}
		return do(keys)
	})
}
