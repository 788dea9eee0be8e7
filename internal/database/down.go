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

// nothing is the version of an empty database.
const nothing = "0"

// DownPlan is the way back to an older version: what Atlas would run, and what would be lost by it.
type DownPlan struct {
	// Statements in their order.
	Statements []string
	// Losses name the tables and columns that would go, with the number of rows that have something
	// in them.
	Losses []string

	from   string
	undone []string
}

// PlanDown plans the way back to a version, or to an empty database if to is nothing. Atlas replays
// the folder to both versions in a scratch database and compares the two schemas. On Postgres
// devURL names that database; if it is empty, one is made and dropped again.
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
		if v.Applied && (v.Version > to || to == nothing) {
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
		return nil, fmt.Errorf("plan the way down: %w", err)
	}
	// Triggers are dropped first: they may name dropped columns, and SQLite drops the triggers of a
	// table that it rebuilds.
	plan.Statements = append(plan.Statements, before.drop...)
	for _, step := range steps.Changes {
		plan.Statements = append(plan.Statements, step.Cmd)
	}
	plan.Statements = append(plan.Statements, after.create...)
	plan.Losses, err = m.losses(ctx, changes)
	return plan, err
}

// resolve returns the applied version that an operator means, by its number or name.
func resolve(versions []Version, to string) (string, error) {
	if to == nothing {
		return to, nil
	}
	for _, v := range versions {
		switch {
		case v.Version != to && v.Name != to:
		case !v.Applied:
			return "", fmt.Errorf("version %s is not applied, so there is no way down to it", to)
		default:
			return v.Version, nil
		}
	}
	return "", fmt.Errorf("there is no migration %q: `tenantry migrate status` lists them", to)
}

// Down runs a plan in one transaction with the history. It refuses a plan that the database has
// moved away from.
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
			return errors.New("the database was migrated meanwhile: plan the way down again")
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

// replay returns the schema and the triggers that the folder makes up to a version. The scratch
// database is empty before and after.
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
	if version == nothing {
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

// scratch opens an empty database and returns what removes it.
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
			return nil, nil, fmt.Errorf("make a scratch database (name an empty one with --dev-url if you may not): %w",
				err)
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
		return nil, nil, errors.Join(errors.New("the URL of the scratch database cannot be read"), remove())
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

// losses counts what the changes would throw away.
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
