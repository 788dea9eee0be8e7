package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"tenantry/internal/config"
	"tenantry/internal/database"
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

// MigrateFinish ends what instances of the previous version need: the notifications of the change log.
func (c Commands) MigrateFinish(ctx context.Context, force bool) error {
	return c.database(ctx, func(db *database.DB) error {
		ended, err := db.FinishChangeLog(ctx, force)
		if err != nil {
			return err
		}
		if ended {
			fmt.Fprintln(c.Out, "notifications for instances of the previous version have ended")
		} else {
			fmt.Fprintln(c.Out, "nothing to finish")
		}
		return nil
	})
}

func (c Commands) migrator(ctx context.Context, do func(*database.Migrator) error) (err error) {
	return c.open(ctx, func(db *database.DB) error { return withMigrator(db, do) })
}

// database runs do on a migrated database.
func (c Commands) database(ctx context.Context, do func(*database.DB) error) error {
	return c.open(ctx, func(db *database.DB) error {
		if err := migrated(ctx, db, c.Log); err != nil {
			return err
		}
		return do(db)
	})
}

// commandConnections are enough for a command, and leave the others to the servers.
const commandConnections = 4

func (c Commands) open(ctx context.Context, do func(*database.DB) error) (err error) {
	opts := databaseOptions(c.Config)
	if opts.PoolDefault {
		opts.PoolSize, opts.MaxOverflow, opts.PoolDefault = commandConnections, 0, false
	}
	db, err := database.Open(ctx, opts, c.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}
