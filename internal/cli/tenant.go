package cli

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/auth"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/server"
	"tenantry/internal/tenants"
)

func (env environment) tenantCommand() *cobra.Command {
	return group("tenant", "Manage tenants in the database", env.createTenant(), env.listTenants(),
		env.setTenantActive("suspend SLUG", "Suspend a tenant: refuse its tokens, refreshes and sign-ins", false),
		env.setTenantActive("resume SLUG", "Resume a suspended tenant", true))
}

func (env environment) createTenant() *cobra.Command {
	var name, owner string
	var stdin bool
	cmd := env.configured(config.Load, "create SLUG", "Create a tenant with its first owner",
		func(ctx context.Context, i *invocation) error {
			password, err := i.password(stdin)
			if err != nil {
				return err
			}
			slug := i.args[0]
			if name == "" {
				name = slug
			}
			return i.inDatabase(ctx, func(db *database.DB) error {
				created, err := tenants.New(db.Client, tenants.Options{Hasher: server.NewHasher(i.config)}).
					Create(ctx, slug, name, auth.Account{Email: owner, Password: &password})
				if err != nil {
					return errors.New(problem.Sentences(err))
				}
				fmt.Fprintf(i.out, "created tenant %s, id %s\n", created.Slug, created.ID)
				i.show(password, !stdin)
				return nil
			})
		}, config.Database, config.Passwords)
	cmd.Args = cobra.ExactArgs(1)
	cmd.Flags().StringVar(&name, "name", "", "name (default: the slug)")
	cmd.Flags().StringVar(&owner, "owner", "", "e-mail address of the first owner")
	withPassword(cmd, &stdin)
	_ = cmd.MarkFlagRequired("owner")
	return cmd
}

func (env environment) listTenants() *cobra.Command {
	var asJSON bool
	cmd := env.configured(config.Load, "list", "List the tenants, newest first",
		func(ctx context.Context, i *invocation) error {
			return i.inDatabase(ctx, func(db *database.DB) error {
				list := i.list(asJSON, "id", "slug", "name", "active")
				last := uuid.Max
				for {
					batch, err := db.Client.Tenant.Query().Where(tenant.IDLT(last)).Order(tenant.ByID(sql.OrderDesc())).
						Limit(listBatch).
						All(principal.System(ctx, "command line: the operator lists every tenant"))
					if err != nil {
						return fmt.Errorf("list tenants: %w", err)
					}
					for _, t := range batch {
						list.add(t.ID, t.Slug, t.Name, t.IsActive)
						last = t.ID
					}
					if len(batch) < listBatch {
						return list.close()
					}
				}
			})
		}, config.Database)
	asLines(cmd, &asJSON)
	return cmd
}

// setTenantActive returns the command that suspends or resumes a tenant.
func (env environment) setTenantActive(use, short string, active bool) *cobra.Command {
	cmd := env.configured(config.Load, use, short, func(ctx context.Context, i *invocation) error {
		return i.inTenant(ctx, i.args[0], func(_ context.Context, db *database.DB, t *ent.Tenant) error {
			if err := tenants.New(db.Client, tenants.Options{}).SetActive(ctx, t.ID, active); err != nil {
				return errors.New(problem.Sentences(err))
			}
			state := "suspended"
			if active {
				state = "active"
			}
			fmt.Fprintf(i.out, "tenant %s is %s\n", t.Slug, state)
			return nil
		})
	}, config.Database)
	cmd.Args = cobra.ExactArgs(1)
	return cmd
}
