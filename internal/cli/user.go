package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"tenantry/ent"
	"tenantry/ent/user"
	"tenantry/internal/auth"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/page"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/server"
	"tenantry/internal/users"
)

func (env environment) userCommand() *cobra.Command {
	return group("user", "Manage users in the database", env.createUser(), env.listUsers(), env.disableUser(),
		env.setPassword())
}

// newUser is the account that createUser creates.
type newUser struct {
	tenant, email, fullName, role string
	superuser                     bool
}

func (env environment) createUser() *cobra.Command {
	var u newUser
	var stdin bool
	cmd := env.configured(config.Load, "create", "Create a user", func(ctx context.Context, i *invocation) error {
		if system := []string{roles.Owner, roles.Admin, roles.Member}; !slices.Contains(system, u.role) {
			return fmt.Errorf("--role must be one of %s", strings.Join(system, ", "))
		}
		password, err := i.password(stdin)
		if err != nil {
			return err
		}
		return i.inDatabase(ctx, func(db *database.DB) error { return i.createUser(ctx, db, u, password, !stdin) })
	}, config.Database, config.Tenant, config.Passwords)
	cmd.Flags().StringVar(&u.email, "email", "", "e-mail address")
	inTenant(cmd, &u.tenant)
	cmd.Flags().StringVar(&u.fullName, "full-name", "", "full name")
	cmd.Flags().StringVar(&u.role, "role", "member", "system role: owner, admin or member")
	cmd.Flags().BoolVar(&u.superuser, "superuser", false, "has every permission in every tenant")
	withPassword(cmd, &stdin)
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

func (i *invocation) createUser(ctx context.Context, db *database.DB, u newUser, password string,
	generated bool) error {
	tenant, err := i.tenant(ctx, db, u.tenant)
	if err != nil {
		return err
	}
	account := auth.Account{Email: u.email, Password: &password, FullName: u.fullName, Superuser: u.superuser}
	prepared, err := account.Prepare(ctx, server.NewHasher(i.config), tenant)
	if err != nil {
		return errors.New(problem.Sentences(err))
	}
	ctx = principal.NewContext(ctx, principal.InTenant(tenant.ID))
	var created *ent.User
	if err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
		if created, err = prepared.Insert(ctx, tx); err != nil {
			return err
		}
		return roles.AssignSystem(ctx, tx, created.ID, u.role)
	}); err != nil {
		return errors.New(problem.Sentences(err))
	}
	fmt.Fprintf(i.out, "created %s in tenant %s, id %s\n", created.Email, tenant.Slug, created.ID)
	i.show(password, generated)
	return nil
}

func (env environment) listUsers() *cobra.Command {
	var slug string
	var asJSON bool
	cmd := env.configured(config.Load, "list", "List the users of a tenant, newest first",
		func(ctx context.Context, i *invocation) error {
			return i.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, _ *ent.Tenant) error {
				list := i.list(asJSON, "id", "email", "full_name", "active", "superuser", "roles")
				last := uuid.Max
				for {
					batch, err := db.Client.User.Query().Where(user.IDLT(last)).Order(user.ByID(sql.OrderDesc())).
						Limit(listBatch).WithRoles().All(ctx)
					if err != nil {
						return fmt.Errorf("list users: %w", err)
					}
					for _, u := range batch {
						assigned, err := u.Edges.RolesOrErr()
						if err != nil {
							return err
						}
						list.add(u.ID, u.Email, u.FullName, u.IsActive, u.IsSuperuser, roleNames(assigned))
						last = u.ID
					}
					if len(batch) < listBatch {
						return list.close()
					}
				}
			})
		}, config.Database, config.Tenant)
	inTenant(cmd, &slug)
	asLines(cmd, &asJSON)
	return cmd
}

func roleNames(all []*ent.Role) string {
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	return strings.Join(names, ",")
}

// disableUser deactivates a user and revokes their sessions. It refuses the last owner of a tenant.
func (env environment) disableUser() *cobra.Command {
	var slug string
	cmd := env.configured(config.Load, "disable EMAIL", "Deactivate a user and revoke their sessions",
		func(ctx context.Context, i *invocation) error {
			return i.withUser(ctx, slug, i.args[0], func(ctx context.Context, db *database.DB, _ *ent.Tenant,
				u *ent.User) error {
				inactive := false
				if _, err := users.New(db.Client, nil, nil, page.Cursors{}).Update(ctx, u.ID,
					users.Change{IsActive: &inactive}); err != nil {
					return errors.New(problem.Sentences(err))
				}
				fmt.Fprintf(i.out, "%s is inactive\n", u.Email)
				return nil
			})
		}, config.Database, config.Tenant)
	cmd.Args = cobra.ExactArgs(1)
	inTenant(cmd, &slug)
	return cmd
}

func (env environment) setPassword() *cobra.Command {
	const short = "Set the password of a user, revoke their sessions and unlink their identities at providers"
	var slug string
	var stdin bool
	cmd := env.configured(config.Load, "set-password EMAIL", short, func(ctx context.Context, i *invocation) error {
		password, err := i.password(stdin)
		if err != nil {
			return err
		}
		return i.withUser(ctx, slug, i.args[0], func(ctx context.Context, db *database.DB, tenant *ent.Tenant,
			u *ent.User) error {
			if err := auth.SetPassword(ctx, db.Client, server.NewHasher(i.config), tenant, u, password); err != nil {
				return errors.New(problem.Sentences(err))
			}
			auth.LogUnlinked(ctx, i.log, u, "operator")
			fmt.Fprintf(i.out, "%s has a new password\n", u.Email)
			if u.OauthID != nil {
				fmt.Fprintln(i.out, "The identities at providers are unlinked.")
			}
			i.show(password, !stdin)
			return nil
		})
	}, config.Database, config.Tenant, config.Passwords)
	cmd.Args = cobra.ExactArgs(1)
	inTenant(cmd, &slug)
	withPassword(cmd, &stdin)
	return cmd
}

// withUser runs do on a user of a tenant, with the permissions of a superuser.
func (i *invocation) withUser(ctx context.Context, slug, email string,
	do func(context.Context, *database.DB, *ent.Tenant, *ent.User) error) error {
	canonical, err := auth.CanonicalEmail(email)
	if err != nil {
		return fmt.Errorf("the e-mail address %w", err)
	}
	return i.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, tenant *ent.Tenant) error {
		u, err := db.Client.User.Query().Where(user.Email(canonical)).Only(ctx)
		if ent.IsNotFound(err) {
			return fmt.Errorf("user %s not found in tenant %s", canonical, tenant.Slug)
		}
		if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		return do(ctx, db, tenant, u)
	})
}
