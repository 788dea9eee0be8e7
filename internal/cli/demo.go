package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tenantry/ent"
	"tenantry/internal/auth"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/demo"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/server"
)

// demoCommand fills the database with demo tenants. On a terminal it draws a progress bar.
func (env environment) demoCommand() *cobra.Command {
	var opts demo.Options
	var stdin bool
	cmd := env.configured(config.Load, "demo", "Fill the database with demo data of a realistic size",
		func(ctx context.Context, i *invocation) error {
			opts.Now = server.Clock().Truncate(24 * time.Hour)
			if stdin {
				hash, err := i.demoPassword(ctx)
				if err != nil {
					return err
				}
				opts.PasswordHash = hash
			}
			return i.inDatabase(ctx, func(db *database.DB) error { return i.fill(ctx, db, opts) })
		}, config.Database, config.Passwords)
	cmd.Flags().IntVar(&opts.Tenants, "tenants", 100, "number of tenants; the first has a fifth of all users")
	cmd.Flags().IntVar(&opts.Users, "users", 10_000, "number of users")
	cmd.Flags().Uint64Var(&opts.Seed, "seed", 1,
		"seed of the generator: the same seed yields the same data on the same day")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false,
		"read the password of all users from standard input (default: users have no password)")
	return cmd
}

// demoPassword reads the password of all demo users and returns its hash.
func (i *invocation) demoPassword(ctx context.Context) (string, error) {
	password, err := i.password(true)
	if err != nil {
		return "", err
	}
	user := auth.Account{Email: "user@example.com", Password: &password}
	prepared, err := user.Prepare(ctx, server.NewHasher(i.config), &ent.Tenant{Slug: "demo"})
	if err != nil {
		return "", errors.New(problem.Sentences(err))
	}
	return *prepared.PasswordHash(), nil
}

func (i *invocation) fill(ctx context.Context, db *database.DB, opts demo.Options) error {
	started, err := db.Client.Tenant.Query().Exist(principal.System(ctx, "demo: check that a tenant exists"))
	if err != nil {
		return fmt.Errorf("look for a tenant: %w", err)
	}
	if !started {
		return errors.New("the database is empty: start the server once, which creates the first tenant and its owner")
	}
	bar := progressbar.NewOptions(opts.Users, progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription("users"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("users"),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))))
	opts.Progress = func(users int) { _ = bar.Add(users) }
	began := time.Now()
	filled, err := demo.Fill(ctx, db, opts)
	if err := errors.Join(err, bar.Exit()); err != nil {
		return err
	}
	fmt.Fprintf(i.out, "created %d tenants, %d users, %d roles, %d assignments and %d sessions in %s\n",
		filled.Tenants, filled.Users, filled.Roles, filled.Assignments, filled.Sessions,
		time.Since(began).Round(time.Second))
	fmt.Fprintf(i.out, "the largest tenant is %s with %d users; its owner is %s\n", filled.Largest,
		filled.LargestUsers, filled.Owner)
	return nil
}
