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

// demoCommand fills the database with made-up tenants. A progress bar is drawn on a terminal.
func (env environment) demoCommand() *cobra.Command {
	var opts demo.Options
	var stdin bool
	cmd := env.configured(config.Load, "demo", "Fill a database with made-up tenants, to try it at a realistic size",
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
	cmd.Flags().IntVar(&opts.Tenants, "tenants", 100, "how many tenants; the first has a fifth of all users")
	cmd.Flags().IntVar(&opts.Users, "users", 10_000, "how many users")
	cmd.Flags().Uint64Var(&opts.Seed, "seed", 1, "equal seeds make equal data on one day")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false,
		"read the password of every user from standard input (default: nobody has one)")
	return cmd
}

// demoPassword returns the hash of the password that every user gets.
func (i *invocation) demoPassword(ctx context.Context) (string, error) {
	password, err := i.password(true)
	if err != nil {
		return "", err
	}
	anybody := auth.Account{Email: "anybody@example.com", Password: &password}
	prepared, err := anybody.Prepare(ctx, server.NewHasher(i.config), &ent.Tenant{Slug: "demo"})
	if err != nil {
		return "", errors.New(problem.Sentences(err))
	}
	return *prepared.PasswordHash(), nil
}

func (i *invocation) fill(ctx context.Context, db *database.DB, opts demo.Options) error {
	started, err := db.Client.Tenant.Query().Exist(principal.System(ctx, "demo: looks whether there is an operator"))
	if err != nil {
		return fmt.Errorf("look for a tenant: %w", err)
	}
	if !started {
		return errors.New("start the server once before: it makes the first tenant and its owner on an empty database")
	}
	bar := progressbar.NewOptions(opts.Users, progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription("users"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("users"),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))))
	opts.Progress = func(users int) { _ = bar.Add(users) }
	began := time.Now()
	made, err := demo.Fill(ctx, db, opts)
	if err := errors.Join(err, bar.Exit()); err != nil {
		return err
	}
	fmt.Fprintf(i.out, "made %d tenants, %d users, %d roles, %d assignments and %d sessions in %s\n",
		made.Tenants, made.Users, made.Roles, made.Assignments, made.Sessions, time.Since(began).Round(time.Second))
	fmt.Fprintf(i.out, "the largest tenant is %s with %d users; its owner is %s\n", made.Largest, made.LargestUsers,
		made.Owner)
	return nil
}
