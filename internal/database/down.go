package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
)

// emptyVersion is the version of an empty database.
const emptyVersion = "0"

// DownPlan is a plan to migrate down to an older version.
type DownPlan struct {
	// Statements are the statements that Atlas would run, in order.
	Statements []string
	// Losses name the tables and columns that the plan drops, with the number of rows that have a
	// value in them.
	Losses []string

	from   string
	undone []string
}

// PlanDown plans a migration down to a version, or to an empty database if to is emptyVersion.
// Atlas replays the folder to both versions in a scratch database and compares the two schemas. On
// Postgres devURL names that database; if it is empty, PlanDown creates one and drops it.
func (m *Migrator) PlanDown(ctx context.Context, to, devURL string) (_ *DownPlan, err error) {
	versions, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	to, err = resolve(versions, to)
	if err != nil {
		return nil, err
	}
	plan := &DownPlan{}
	for _, v := range versions {
		if v.Applied && (v.Version > to || to == emptyVersion) {
			plan.undone, plan.from = append(plan.undone, v.Version), v.Version
		}
	}
	if len(plan.undone) == 0 {
		return plan, nil
	}
	scratch, drop, err := m.scratch(ctx, devURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	current, before, err := m.replay(ctx, scratch, plan.from)
	if err != nil {
		return nil, err
	}
	desired, after, err := m.replay(ctx, scratch, to)
	if err != nil {
		return nil, err
	}
	drv, err := m.atlas(scratch)
	if err != nil {
		return nil, err
	}
	changes, err := drv.SchemaDiff(current, desired)
	if err != nil {
		return nil, fmt.Errorf("compare the schemas of %s and %s: %w", plan.from, to, err)
	}
	steps, err := drv.PlanChanges(ctx, "down", changes, func(o *migrate.PlanOptions) {
		o.SchemaQualifier = new(string)
	})
	if err != nil {
		return nil, fmt.Errorf("plan the migration down: %w", err)
	}
	// Drop the triggers first: they may name dropped columns, and rebuilding a table of SQLite
	// drops its triggers.
	plan.Statements = append(plan.Statements, before.drop...)
	for _, step := range steps.Changes {
		plan.Statements = append(plan.Statements, step.Cmd)
	}
	plan.Statements = append(plan.Statements, after.create...)
	plan.Losses, err = m.losses(ctx, changes)
	return plan, err
}

// resolve returns the applied version with a number or name. It fails if there is no such version,
// or if it is not applied.
func resolve(versions []Version, to string) (string, error) {
	if to == emptyVersion {
		return to, nil
	}
	for _, v := range versions {
		switch {
		case v.Version != to && v.Name != to:
		case !v.Applied:
			return "", fmt.Errorf("version %s is not applied: name an applied one", to)
		default:
			return v.Version, nil
		}
	}
	return "", fmt.Errorf("there is no migration %q: `tenantry migrate status` lists them", to)
}

// Down runs a plan in one transaction with the history. It fails if the database was migrated after
// the plan was computed.
func (m *Migrator) Down(ctx context.Context, plan *DownPlan) (err error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	h, _, err := openHistory(ctx, m.db, m.dialect)
	if err != nil {
		return err
	}
	return m.inTx(ctx, func(tx schema.ExecQuerier) error {
		h := h.on(tx)
		revisions, err := h.ReadRevisions(ctx)
		if err != nil {
			return fmt.Errorf("read the migration history: %w", err)
		}
		if len(revisions) == 0 || revisions[len(revisions)-1].Version != plan.from {
			return errors.New("the database was migrated after the plan was computed: run the command again")
		}
		for _, statement := range plan.Statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		for _, version := range plan.undone {
			if err := h.DeleteRevision(ctx, version); err != nil {
				return fmt.Errorf("write the migration history: %w", err)
			}
		}
		return nil
	})
}

// replay returns the schema and the triggers that the migrations up to a version create. The
// scratch database must be empty, and is empty again afterwards.
func (m *Migrator) replay(ctx context.Context, scratch *sql.DB, version string) (_ *schema.Schema, all triggers,
	err error) {
	drv, err := m.atlas(scratch)
	if err != nil {
		return nil, all, err
	}
	name := "main"
	if m.dialect == dialect.Postgres {
		name = "public"
	}
	state := migrate.SchemaConn(drv, name, nil)
	if version == emptyVersion {
		realm, err := state.ReadState(ctx)
		if err != nil {
			return nil, all, err
		}
		return realm.Schemas[0], all, nil
	}
	executor, err := migrate.NewExecutor(drv, m.dir, migrate.NopRevisionReadWriter{})
	if err != nil {
		return nil, all, err
	}
	realm, err := executor.Replay(ctx, stateWithTriggers{state, func(ctx context.Context) (err error) {
		all, err = m.readTriggers(ctx, scratch)
		return err
	}}, migrate.ReplayToVersion(version))
	if err != nil {
		return nil, all, fmt.Errorf("replay the migrations to %s: %w", version, err)
	}
	return realm.Schemas[0], all, nil
}

// scratch opens an empty database, and returns a function that closes and drops it.
func (m *Migrator) scratch(ctx context.Context, devURL string) (_ *sql.DB, drop func() error, err error) {
	if m.dialect == dialect.SQLite {
		db, err := sql.Open("sqlite", ":memory:")
		if err != nil {
			return nil, nil, err
		}
		db.SetMaxOpenConns(1)
		return db, db.Close, nil
	}
	name := ""
	if devURL == "" {
		name = "tenantry_scratch_" + strings.ToLower(rand.Text())
		if _, err := m.db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
			return nil, nil, fmt.Errorf("create a scratch database (without the right to create "+
				"one, name an empty one with --dev-url): %w", err)
		}
		devURL = m.opts.URL
	}
	remove := func() error {
		if name == "" {
			return nil
		}
		_, err := m.db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name)
		return err
	}
	dsn, err := url.Parse(devURL)
	if err != nil {
		return nil, nil, errors.Join(errors.New("the URL of the scratch database is not a valid URL"), remove())
	}
	if name != "" {
		dsn.Path = "/" + name
	}
	db, err := openDSN(dsn, oneRoundTrip, 0)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return db, func() error { return errors.Join(db.Close(), remove()) }, nil
}

// losses counts the rows with values that the changes drop.
func (m *Migrator) losses(ctx context.Context, changes []schema.Change) ([]string, error) {
	var losses []string
	add := func(what, query string) error {
		var rows int64
		if err := m.db.QueryRowContext(ctx, query).Scan(&rows); err != nil {
			return fmt.Errorf("count the rows of %s: %w", what, err)
		}
		losses = append(losses, fmt.Sprintf("%s: %d rows", what, rows))
		return nil
	}
	for _, change := range changes {
		switch c := change.(type) {
		case *schema.DropTable:
			if err := add("table "+c.T.Name, `SELECT count(*) FROM "`+c.T.Name+`"`); err != nil {
				return nil, err
			}
		case *schema.ModifyTable:
			for _, inner := range c.Changes {
				drop, ok := inner.(*schema.DropColumn)
				if !ok {
					continue
				}
				if err := add("column "+c.T.Name+"."+drop.C.Name, `SELECT count("`+drop.C.Name+`") FROM "`+c.T.Name+
					`"`); err != nil {
					return nil, err
				}
			}
		}
	}
	return losses, nil
}
