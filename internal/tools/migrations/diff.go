package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	entschema "entgo.io/ent/dialect/sql/schema"
)

// unchanged is the content of a migration without statements, for a database that does not change:
// both folders have the same versions.
const unchanged = "-- Nothing: the schema of this database does not change.\n"

// diff writes the migration to the schema of tables to every folder, under one version. It writes
// nothing unless it can plan for all folders.
func diff(ctx context.Context, all []*folder, tables []*entschema.Table, version, name string, out io.Writer) error {
	plans, err := plan(ctx, all, tables, name)
	if err != nil {
		return err
	}
	if len(plans) == 0 {
		fmt.Fprintln(out, "no migration needed: the folders match the schemas")
		return nil
	}
	for _, f := range all {
		file := fmt.Sprintf("%s_%s.sql", version, name)
		content := []byte(unchanged)
		if p := plans[f.name]; p != nil {
			p.Version = version
			if file, content, err = format(p); err != nil {
				return err
			}
		}
		if err := f.dir.WriteFile(file, content); err != nil {
			return err
		}
		sum, err := f.dir.Checksum()
		if err != nil {
			return err
		}
		if err := migrate.WriteSumFile(f.dir, sum); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s/%s\n%s", f.dir.Path(), file, content)
	}
	return nil
}

// drift fails if the schema of tables differs from the result of a folder.
func drift(ctx context.Context, all []*folder, tables []*entschema.Table) error {
	plans, err := plan(ctx, all, tables, "drift")
	if err != nil {
		return err
	}
	var errs []error
	for name, p := range plans {
		_, content, err := format(p)
		if err != nil {
			return err
		}
		errs = append(errs, fmt.Errorf("migrations/%s does not match the schemas: run `task migrate -- name`:\n%s",
			name, content))
	}
	return errors.Join(errs...)
}

// plan returns the plan of each folder that needs a migration, by the folder's name.
func plan(ctx context.Context, all []*folder, tables []*entschema.Table, name string) (map[string]*migrate.Plan,
	error) {
	plans := map[string]*migrate.Plan{}
	for _, f := range all {
		// Not ent's NamedDiff: it plans no DROP TABLE.
		planner := migrate.NewPlanner(f.driver, f.dir, migrate.PlanWithSchemaQualifier(""))
		p, err := planner.PlanSchema(ctx, name, f.desired(tables))
		switch {
		case errors.Is(err, migrate.ErrNoPlan):
		case err != nil:
			return nil, fmt.Errorf("compare the schemas with %s: %w", f.dir.Path(), err)
		default:
			plans[f.name] = p
		}
	}
	return plans, nil
}

// desired returns the schema that the tables declare, as the database would report it.
func (f *folder) desired(tables []*entschema.Table) migrate.StateReader {
	return migrate.StateReaderFunc(func(ctx context.Context) (*schema.Realm, error) {
		current, err := f.inspect(ctx)
		if err != nil {
			return nil, err
		}
		reader, err := entschema.NewMigrate(entsql.OpenDB(f.dialect, f.db))
		if err != nil {
			return nil, err
		}
		realm, err := reader.StateReader(tables...).ReadState(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the schemas: %w", err)
		}
		declared := realm.Schemas[0]
		declared.Name, declared.Attrs = current.Schemas[0].Name, current.Schemas[0].Attrs
		if n, ok := f.driver.(schema.Normalizer); ok {
			if declared, err = n.NormalizeSchema(ctx, declared); err != nil {
				return nil, fmt.Errorf("normalise the schemas: %w", err)
			}
		}
		for _, t := range declared.Tables {
			t.Schema = declared
			if f.dialect == dialect.SQLite {
				literalDefaults(t)
			}
		}
		realm.Schemas[0] = declared
		return realm, nil
	})
}

// literal is a number, a string or a truth value.
var literal = regexp.MustCompile(`^(?:-?[0-9.]+|'(?:[^']|'')*'|(?i:true|false))$`)

// literalDefaults replaces defaults that ent declares as expressions by literals: Atlas puts
// expressions into parentheses, and SQLite cannot add a column with such a default.
func literalDefaults(t *schema.Table) {
	for _, c := range t.Columns {
		if x, ok := c.Default.(*schema.RawExpr); ok && literal.MatchString(x.X) {
			c.Default = &schema.Literal{V: x.X}
		}
	}
}

// format returns the migration file of a plan, in the format of the Atlas CLI.
func format(p *migrate.Plan) (name string, content []byte, err error) {
	files, err := migrate.DefaultFormatter.Format(p)
	if err != nil {
		return "", nil, err
	}
	if len(files) != 1 {
		return "", nil, fmt.Errorf("expected a plan with one file, got %d", len(files))
	}
	return files[0].Name(), bytes.Clone(files[0].Bytes()), nil
}
