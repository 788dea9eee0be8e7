package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

const (
	// commandConnections is the default pool size of a command. It leaves connections for servers.
	commandConnections = 4
	// listBatch is how many rows a list reads with one statement.
	listBatch = 500
)

// open runs do on the configured database. It logs the database's name first, so that a job that
// uses SQLite for want of a setting can be noticed.
func (i *invocation) open(ctx context.Context, do func(*database.DB) error) (err error) {
	opts := server.DatabaseOptions(i.config)
	if opts.PoolDefault {
		opts.PoolSize, opts.MaxOverflow, opts.PoolDefault = commandConnections, 0, false
	}
	i.log.InfoContext(ctx, "using the database", "database", opts.Name())
	db, err := database.Open(ctx, opts, i.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}

// inDatabase runs do on a migrated database.
func (i *invocation) inDatabase(ctx context.Context, do func(*database.DB) error) error {
	return i.open(ctx, func(db *database.DB) error {
		if err := server.CheckMigrated(ctx, db, i.log); err != nil {
			return err
		}
		return do(db)
	})
}

// inTenant runs do in the tenant of a slug, or in the default tenant, with the permissions of a
// superuser.
func (i *invocation) inTenant(ctx context.Context, slug string,
	do func(context.Context, *database.DB, *ent.Tenant) error) error {
	return i.inDatabase(ctx, func(db *database.DB) error {
		t, err := i.tenant(ctx, db, slug)
		if err != nil {
			return err
		}
		return do(principal.NewContext(ctx, &principal.Principal{TenantID: t.ID, Superuser: true}), db, t)
	})
}

// tenant returns the tenant of a slug, or the default tenant.
func (i *invocation) tenant(ctx context.Context, db *database.DB, slug string) (*ent.Tenant, error) {
	if slug == "" {
		slug = i.config.DefaultTenant
	}
	t, err := db.Client.Tenant.Query().Where(tenant.Slug(slug)).
		Only(principal.System(ctx, "command line: the operator names the tenant"))
	if ent.IsNotFound(err) {
		return nil, fmt.Errorf("tenant %q not found", slug)
	}
	if err != nil {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	return t, nil
}

// password reads a password from standard input, or generates one.
func (i *invocation) password(fromStdin bool) (string, error) {
	if !fromStdin {
		return server.Passphrase(), nil
	}
	text, err := io.ReadAll(io.LimitReader(i.in, 8<<10))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return config.Trim(string(text)), nil
}

// show prints a generated password.
func (i *invocation) show(password string, generated bool) {
	if generated {
		fmt.Fprintf(i.out, "The password is shown this once: %s\n", password)
	}
}
