package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
	_ "ariga.io/atlas/sql/postgres/postgrescheck" // analyzers of Postgres
	"ariga.io/atlas/sql/sqlcheck"
	"ariga.io/atlas/sql/sqlclient"
	_ "ariga.io/atlas/sql/sqlite/sqlitecheck" // analyzers of SQLite
)

// rules are the analyzers whose findings are errors, as in atlas.hcl.
var rules = []string{"destructive", "data_depend"}

// lint fails if the last migration of a folder destroys data, or may fail because of data. A
// comment `-- atlas:nolint destructive` permits the statement below it.
//
// lint reports RENAME COLUMN as a dropped and an added column. The Atlas CLI recognises it with SQL
// parsers that are not in the library.
func lint(ctx context.Context, all []*folder) error {
	var errs []error
	for _, f := range all {
		file, err := f.lastChanges(ctx)
		if err == nil && file != nil {
			err = f.analyze(ctx, file)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// lastChanges replays the folder and returns what each statement of the last migration changes. The
// database is empty before and after.
func (f *folder) lastChanges(ctx context.Context) (_ *sqlcheck.File, err error) {
	files, err := f.dir.Files()
	if err != nil || len(files) == 0 {
		return nil, err
	}
	restore, err := f.driver.(migrate.Snapshoter).Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, restore(ctx)) }()
	last := len(files) - 1
	for _, file := range files[:last] {
		if err := f.execute(ctx, file, func(*migrate.Stmt) error { return nil }); err != nil {
			return nil, err
		}
	}
	result := &sqlcheck.File{File: files[last]}
	if result.From, err = f.inspect(ctx); err != nil {
		return nil, err
	}
	before := result.From
	err = f.execute(ctx, files[last], func(s *migrate.Stmt) error {
		if result.To, err = f.inspect(ctx); err != nil {
			return err
		}
		changes, err := f.driver.RealmDiff(before, result.To)
		result.Changes = append(result.Changes, &sqlcheck.Change{Stmt: s, Changes: changes})
		before = result.To
		return err
	})
	if err == nil {
		result.Sum, err = f.driver.RealmDiff(result.From, before)
	}
	return result, err
}

// execute runs each statement of a file, and calls after following each one.
func (f *folder) execute(ctx context.Context, file migrate.File, after func(*migrate.Stmt) error) error {
	statements, err := migrate.FileStmtDecls(f.driver, file)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	for _, s := range statements {
		if _, err := f.driver.ExecContext(ctx, s.Text); err != nil {
			return fmt.Errorf("%s: %s: %w", file.Name(), s.Text, err)
		}
		if err := after(s); err != nil {
			return err
		}
	}
	return nil
}

// analyze returns every finding as an error.
func (f *folder) analyze(ctx context.Context, file *sqlcheck.File) error {
	analyzers, err := sqlcheck.AnalyzerFor(f.name, nil)
	if err != nil {
		return err
	}
	if len(analyzers) == 0 {
		return fmt.Errorf("no analyzers for %s", f.name)
	}
	var errs []error
	for _, a := range analyzers {
		rule := "" // of the one that makes the rebuilding of a table one change, and reports nothing
		if named, ok := a.(sqlcheck.NamedAnalyzer); ok {
			rule = named.Name()
		}
		if rule != "" && !slices.Contains(rules, rule) {
			continue
		}
		reported := false
		report := func(r sqlcheck.Report) {
			for _, d := range r.Diagnostics {
				if reported = true; !excused(file, d, rule) {
					line := strings.Count(string(file.Bytes()[:d.Pos]), "\n") + 1
					errs = append(errs, fmt.Errorf("%s/%s:%d: %s (%s, %s)", f.dir.Path(), file.Name(), line, d.Text,
						rule, d.Code))
				}
			}
		}
		err := a.Analyze(ctx, &sqlcheck.Pass{
			File: file, Dev: &sqlclient.Client{Name: f.name, DB: f.db, Driver: f.driver},
			Reporter: sqlcheck.ReportWriterFunc(report),
		})
		if err != nil && !reported { // otherwise it repeats that there are findings
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// excused reports whether the file or the statement has an atlas:nolint comment for the finding.
func excused(file *sqlcheck.File, d sqlcheck.Diagnostic, rule string) bool {
	var directives []string
	if local, ok := file.File.(*migrate.LocalFile); ok {
		directives = local.Directive("nolint")
	}
	for _, c := range file.Changes {
		if c.Stmt.Pos == d.Pos {
			directives = append(directives, c.Stmt.Directive("nolint")...)
		}
	}
	return slices.ContainsFunc(directives, func(directive string) bool {
		names := strings.Fields(directive)
		return len(names) == 0 || slices.Contains(names, rule) || slices.Contains(names, d.Code)
	})
}
