package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tenantry/ent"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
)

// DemoData is what Demo makes.
type DemoData struct {
	Tenants, Users int
	Seed           uint64
}

// Demo fills the database with made-up tenants, with a password that is read from in for every user, or none. A progress bar
// is drawn on a terminal.
func (c Commands) Demo(ctx context.Context, data DemoData, in io.Reader, terminal *os.File) error {
	opts := demo.Options{Tenants: data.Tenants, Users: data.Users, Seed: data.Seed, Now: clock().Truncate(24 * time.Hour)}
	if in != nil {
		password, err := readPassword(in)
		if err != nil {
			return err
		}
		anybody := auth.Account{Email: "anybody@example.com", Password: &password}
		prepared, err := anybody.Prepare(ctx, newHasher(c.Config), &ent.Tenant{Slug: "demo"})
		if err != nil {
			return errors.New(reasons(err))
		}
		opts.PasswordHash = *prepared.PasswordHash()
	}
	return c.database(ctx, func(db *database.DB) error {
		started, err := db.Client.Tenant.Query().Exist(principal.System(ctx, "demo: looks whether there is an operator"))
		if err != nil {
			return fmt.Errorf("look for a tenant: %w", err)
		}
		if !started {
			return errors.New("start the server once before: it makes the first tenant and its owner on an empty database")
		}
		bar := progressbar.NewOptions(data.Users, progressbar.OptionSetWriter(terminal), progressbar.OptionSetDescription("users"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("users"), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetVisibility(term.IsTerminal(int(terminal.Fd()))))
		opts.Progress = func(users int) { _ = bar.Add(users) }
		began := time.Now()
		made, err := demo.Fill(ctx, db, opts)
		if err := errors.Join(err, bar.Exit()); err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "made %d tenants, %d users, %d roles, %d assignments and %d sessions in %s\n",
			made.Tenants, made.Users, made.Roles, made.Assignments, made.Sessions, time.Since(began).Round(time.Second))
		fmt.Fprintf(c.Out, "the largest tenant is %s with %d users; its owner is %s\n", made.Largest, made.LargestUsers, made.Owner)
		return nil
	})
}
