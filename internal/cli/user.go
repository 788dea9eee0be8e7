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
	return group("user", "Manage users on the database itself", env.createUser(), env.listUsers(), env.disableUser(),
		env.setPassword())
}

// newUser is what createUser makes an account of.
type newUser struct {
	tenant, email, fullName, role string
	superuser                     bool
}

func (env environment) createUser() *cobra.Command {
	var u newUser
	var stdin bool
	cmd := env.configured(config.Load, "create", "Create a user", func(ctx context.Context, i *invocation) error {
		if system := []string{roles.Owner, roles.Admin, roles.Member}; !slices.Contains(system, u.role) {
			return fmt.Errorf("the role must be one of %s", strings.Join(system, ", "))
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
	cmd.Flags().BoolVar(&u.superuser, "superuser", false, "may do everything in every tenant")
	withPassword(cmd, &stdin)
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

func (i *invocation) createUser(ctx context.Context, db *database.DB, u newUser, password string,
	generated bool) error {
	home, err := i.tenant(ctx, db, u.tenant)
	if err != nil {
		return err
	}
	account := auth.Account{Email: u.email, Password: &password, FullName: u.fullName, Superuser: u.superuser}
	prepared, err := account.Prepare(ctx, server.NewHasher(i.config), home)
	if err != nil {
		return errors.New(problem.Sentences(err))
	}
	acting := principal.NewContext(ctx, principal.InTenant(home.ID))
	var created *ent.User
	if err := database.WithTx(acting, db.Client, func(tx *ent.Client) error {
		if created, err = prepared.Insert(acting, tx); err != nil {
			return err
		}
		return roles.AssignSystem(acting, tx, created.ID, u.role)
	}); err != nil {
		return errors.New(problem.Sentences(err))
	}
	fmt.Fprintf(i.out, "created %s in tenant %s, id %s\n", created.Email, home.Slug, created.ID)
	i.show(password, generated)
	return nil
}

func (env environment) listUsers() *cobra.Command {
	var slug string
	var asJSON bool
	cmd := env.configured(config.Load, "list", "List the users of a tenant, the newest first",
		func(ctx context.Context, i *invocation) error {
			return i.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, _ *ent.Tenant) error {
				list := i.list(asJSON, "id", "email", "full_name", "active", "superuser", "roles")
				last := uuid.Max
				for {
					some, err := db.Client.User.Query().Where(user.IDLT(last)).Order(user.ByID(sql.OrderDesc())).
						Limit(listedAtOnce).WithRoles().All(ctx)
					if err != nil {
						return fmt.Errorf("list users: %w", err)
					}
					for _, u := range some {
						assigned, err := u.Edges.RolesOrErr()
						if err != nil {
							return err
						}
						list.add(u.ID, u.Email, u.FullName, u.IsActive, u.IsSuperuser, roleNames(assigned))
						last = u.ID
					}
					if len(some) < listedAtOnce {
						return list.end()
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

// disableUser makes a user inactive and signs them out everywhere. A tenant keeps an owner.
func (env environment) disableUser() *cobra.Command {
	var slug string
	cmd := env.configured(config.Load, "disable EMAIL", "Make a user inactive, and sign them out everywhere",
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
	const short = "Set the password of a user, sign them out everywhere, and unlink their identities at providers"
	var slug string
	var stdin bool
	cmd := env.configured(config.Load, "set-password EMAIL", short, func(ctx context.Context, i *invocation) error {
		password, err := i.password(stdin)
		if err != nil {
			return err
		}
		return i.withUser(ctx, slug, i.args[0], func(ctx context.Context, db *database.DB, home *ent.Tenant,
			u *ent.User) error {
			if err := auth.SetPassword(ctx, db.Client, server.NewHasher(i.config), home, u, password); err != nil {
				return errors.New(problem.Sentences(err))
			}
			auth.LogUnlinked(ctx, i.log, u, "operator")
			fmt.Fprintf(i.out, "%s has a new password\n", u.Email)
			if u.OauthID != nil {
				fmt.Fprintln(i.out, "Every identity at a provider is unlinked.")
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

// withUser runs do on a user of a tenant, for an operator, who may do everything.
func (i *invocation) withUser(ctx context.Context, slug, email string,
	do func(context.Context, *database.DB, *ent.Tenant, *ent.User) error) error {
	canonical, err := auth.CanonicalEmail(email)
	if err != nil {
		return fmt.Errorf("the e-mail address %w", err)
	}
	return i.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, home *ent.Tenant) error {
		u, err := db.Client.User.Query().Where(user.Email(canonical)).Only(ctx)
		if ent.IsNotFound(err) {
			return fmt.Errorf("there is no user %s in tenant %s", canonical, home.Slug)
		}
		if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		return do(ctx, db, home, u)
	})
}
