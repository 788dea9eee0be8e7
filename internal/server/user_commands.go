package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
)

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
	if u.Tenant == "" {
		u.Tenant = c.Config.DefaultTenant
	}
	home, err := db.Client.Tenant.Query().Where(tenant.Slug(u.Tenant)).
		Only(principal.System(ctx, "command line: the operator names the tenant"))
	if ent.IsNotFound(err) {
		return fmt.Errorf("there is no tenant %q", u.Tenant)
	}
	if err != nil {
		return fmt.Errorf("find tenant: %w", err)
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
	fmt.Fprintf(c.Out, "created %s in tenant %s, id %s\n", created.Email, u.Tenant, created.ID)
	if generated {
		fmt.Fprintf(c.Out, "The password is shown this once: %s\n", password)
	}
	return nil
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
	return strings.TrimRight(string(given), "\r\n"), nil
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
