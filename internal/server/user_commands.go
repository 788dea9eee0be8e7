package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/user"
	"tenantry/internal/auth"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/httpapi"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/users"
)

// listedAtOnce is how many rows a list reads with one statement.
const listedAtOnce = 500

// NewUser is what UserCreate makes an account of.
type NewUser struct {
	Tenant, Email, FullName, Role string
	Superuser                     bool
}

// UserCreate makes a user, with the password that is read from in, or a generated one that is printed once.
func (c Commands) UserCreate(ctx context.Context, u NewUser, in io.Reader) error {
	if system := []string{roles.Owner, roles.Admin, roles.Member}; !slices.Contains(system, u.Role) {
		return fmt.Errorf("the role must be one of %s", strings.Join(system, ", "))
	}
	password, err := readPassword(in)
	if err != nil {
		return err
	}
	return c.database(ctx, func(db *database.DB) error { return c.createUser(ctx, db, u, password, in == nil) })
}

func (c Commands) createUser(ctx context.Context, db *database.DB, u NewUser, password string, generated bool) error {
	home, err := c.home(ctx, db, u.Tenant)
	if err != nil {
		return err
	}
	account := auth.Account{Email: u.Email, Password: &password, FullName: u.FullName, Superuser: u.Superuser}
	prepared, err := account.Prepare(ctx, newHasher(c.Config), home)
	if err != nil {
		return errors.New(reasons(err))
	}
	acting := principal.NewContext(ctx, principal.InTenant(home.ID))
	var created *ent.User
	if err := database.WithTx(acting, db.Client, func(tx *ent.Client) error {
		if created, err = prepared.Insert(acting, tx); err != nil {
			return err
		}
		return roles.AssignSystem(acting, tx, created.ID, u.Role)
	}); err != nil {
		return errors.New(reasons(err))
	}
	fmt.Fprintf(c.Out, "created %s in tenant %s, id %s\n", created.Email, home.Slug, created.ID)
	c.show(password, generated)
	return nil
}

// UserList lists the users of a tenant, the newest first.
func (c Commands) UserList(ctx context.Context, slug string, asJSON bool) error {
	return c.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, _ *ent.Tenant) error {
		list := c.list(asJSON, "id", "email", "full_name", "active", "superuser", "roles")
		last := uuid.Max
		for {
			some, err := db.Client.User.Query().Where(user.IDLT(last)).Order(user.ByID(sql.OrderDesc())).Limit(listedAtOnce).WithRoles().All(ctx)
			if err != nil {
				return fmt.Errorf("list users: %w", err)
			}
			for _, u := range some {
				assigned, err := u.Edges.RolesOrErr()
				if err != nil {
					return err
				}
				list.add(u.ID, u.Email, u.FullName, u.IsActive, u.IsSuperuser, names(assigned))
				last = u.ID
			}
			if len(some) < listedAtOnce {
				return list.end()
			}
		}
	})
}

// UserDisable makes a user inactive and signs them out everywhere. A tenant keeps an owner.
func (c Commands) UserDisable(ctx context.Context, slug, email string) error {
	return c.withUser(ctx, slug, email, func(ctx context.Context, db *database.DB, _ *ent.Tenant, u *ent.User) error {
		inactive := false
		if _, err := users.New(db.Client, nil, nil, httpapi.Cursors{}).Update(ctx, u.ID, users.Change{IsActive: &inactive}); err != nil {
			return errors.New(reasons(err))
		}
		fmt.Fprintf(c.Out, "%s is inactive\n", u.Email)
		return nil
	})
}

// UserSetPassword sets the password of a user, as UserCreate does, signs them out everywhere, and removes their identity at a provider.
func (c Commands) UserSetPassword(ctx context.Context, slug, email string, in io.Reader) error {
	password, err := readPassword(in)
	if err != nil {
		return err
	}
	return c.withUser(ctx, slug, email, func(ctx context.Context, db *database.DB, home *ent.Tenant, u *ent.User) error {
		if err := auth.SetPassword(ctx, db.Client, newHasher(c.Config), home, u, password); err != nil {
			return errors.New(reasons(err))
		}
		auth.LogUnlinked(ctx, c.Log, u, "operator")
		fmt.Fprintf(c.Out, "%s has a new password\n", u.Email)
		if u.OauthID != nil {
			fmt.Fprintln(c.Out, "The identity at a provider is unlinked.")
		}
		c.show(password, in == nil)
		return nil
	})
}

// withUser runs do on a user of a tenant, for an operator, who may do everything.
func (c Commands) withUser(ctx context.Context, slug, email string, do func(context.Context, *database.DB, *ent.Tenant, *ent.User) error) error {
	canonical, err := auth.CanonicalEmail(email)
	if err != nil {
		return fmt.Errorf("the e-mail address %w", err)
	}
	return c.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, home *ent.Tenant) error {
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

// show prints a password that was generated, once.
func (c Commands) show(password string, generated bool) {
	if generated {
		fmt.Fprintf(c.Out, "The password is shown this once: %s\n", password)
	}
}

// readPassword reads one line, or makes a password if there is nothing to read from.
func readPassword(in io.Reader) (string, error) {
	if in == nil {
		return passphrase(), nil
	}
	given, err := io.ReadAll(io.LimitReader(in, 8<<10))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return config.Trim(string(given)), nil
}

// reasons turns a problem into a sentence for a terminal.
func reasons(err error) string {
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		return err.Error()
	}
	sentences := []string{p.Detail}
	for _, f := range p.Fields {
		sentences = append(sentences, strings.TrimPrefix(f.Pointer, "/")+" "+f.Detail)
	}
	return strings.Join(sentences, " ")
}
