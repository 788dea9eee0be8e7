package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/auth"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
)

// Commands are what an operator does on the database itself, beside or without a running server.
type Commands struct {
	Config config.Config
	Out    io.Writer
	Log    *slog.Logger
}

// MigrateUp applies what is pending.
func (c Commands) MigrateUp(ctx context.Context) error {
	return c.migrator(ctx, func(m *database.Migrator) error {
		applied, err := m.Up(ctx)
		for _, v := range applied {
			fmt.Fprintf(c.Out, "applied %s %s\n", v.Version, v.Name)
		}
		if err == nil && len(applied) == 0 {
			fmt.Fprintln(c.Out, "nothing is pending")
		}
		return err
	})
}

// MigrateStatus lists every migration and whether it is applied.
func (c Commands) MigrateStatus(ctx context.Context) error {
	return c.migrator(ctx, func(m *database.Migrator) error {
		versions, err := m.Status(ctx)
		if err != nil {
			return err
		}
		pending := 0
		for _, v := range versions {
			state := "applied"
			if !v.Applied {
				state = "pending"
				pending++
			}
			fmt.Fprintf(c.Out, "%s  %s  %s\n", v.Version, state, v.Name)
		}
		if pending == 0 {
			fmt.Fprintln(c.Out, "nothing is pending")
		} else {
			fmt.Fprintf(c.Out, "%d pending\n", pending)
		}
		return nil
	})
}

// MigrateDown prints the way back to a version, and goes it if the operator has said yes.
func (c Commands) MigrateDown(ctx context.Context, to, devURL string, yes bool) error {
	return c.migrator(ctx, func(m *database.Migrator) error {
		plan, err := m.PlanDown(ctx, to, devURL)
		if err != nil {
			return err
		}
		if len(plan.Statements) == 0 {
			fmt.Fprintln(c.Out, "there is nothing to undo")
			return nil
		}
		fmt.Fprintln(c.Out, strings.Join(plan.Statements, ";\n")+";")
		if len(plan.Losses) > 0 {
			fmt.Fprintln(c.Out, "\nThis data is lost:\n  "+strings.Join(plan.Losses, "\n  "))
		}
		if !yes {
			return errors.New("nothing was done: add --yes to run this plan")
		}
		if err := m.Down(ctx, plan); err != nil {
			return err
		}
		fmt.Fprintln(c.Out, "\ndone")
		return nil
	})
}

func (c Commands) migrator(ctx context.Context, do func(*database.Migrator) error) (err error) {
	db, err := database.Open(ctx, databaseOptions(c.Config), c.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return withMigrator(db, do)
}

// NewUser is what UserCreate makes an account of.
type NewUser struct {
	Tenant, Email, FullName, Role string
	Superuser                     bool
}

// UserCreate makes a user, with the password that is read from in, or a generated one that is printed once.
func (c Commands) UserCreate(ctx context.Context, u NewUser, in io.Reader) (err error) {
	if system := []string{roles.Owner, roles.Admin, roles.Member}; !slices.Contains(system, u.Role) {
		return fmt.Errorf("the role must be one of %s", strings.Join(system, ", "))
	}
	password, err := readPassword(in)
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, databaseOptions(c.Config), c.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrated(ctx, db, c.Log); err != nil {
		return err
	}
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
	account := auth.Account{Email: u.Email, Password: password, FullName: u.FullName, Role: u.Role, Superuser: u.Superuser}
	prepared, err := account.Prepare(ctx, newHasher(c.Config), home)
	if err != nil {
		return errors.New(reasons(err))
	}
	acting := principal.NewContext(ctx, principal.InTenant(home.ID))
	var created *ent.User
	if err := database.WithTx(acting, db.Client, func(tx *ent.Client) error {
		created, err = prepared.Insert(acting, tx)
		return err
	}); err != nil {
		return errors.New(reasons(err))
	}
	fmt.Fprintf(c.Out, "created %s in tenant %s, id %s\n", created.Email, u.Tenant, created.ID)
	if in == nil {
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
