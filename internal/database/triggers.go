package database

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
)

// triggers are the triggers of a schema and their functions, which Atlas neither reads nor
// compares.
type triggers struct {
	// drop are the statements that drop all of them, create those that create them.
	drop, create []string
}

// stateWithTriggers is a state of Atlas that also reads the triggers of the replayed version.
type stateWithTriggers struct {
	migrate.StateReader
	read func(context.Context) error
}

// ReadState reads the triggers, then the schema.
func (s stateWithTriggers) ReadState(ctx context.Context) (*schema.Realm, error) {
	if err := s.read(ctx); err != nil {
		return nil, fmt.Errorf("read triggers: %w", err)
	}
	return s.StateReader.ReadState(ctx)
}

// searchPathSetting matches the search_path of a function, which names the schema that it was read
// from.
var searchPathSetting = regexp.MustCompile(`(?m)^ SET search_path TO .*\n`)

// pinFunction sets the search_path of a function to the schema of the connection, as the migrations
// do.
const pinFunction = `DO $$ BEGIN
	EXECUTE format('ALTER FUNCTION %[1]s SET search_path = %%I, pg_temp', current_schema());
END $$`

// readTriggers returns the triggers of a database.
func (m *Migrator) readTriggers(ctx context.Context, db *sql.DB) (all triggers, err error) {
	const functions = `SELECT DISTINCT format('DROP FUNCTION %I()', p.proname),
	replace(pg_get_functiondef(p.oid), format('FUNCTION %I.', n.nspname), 'FUNCTION ')
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_trigger AS t ON t.tgfoid = p.oid
WHERE NOT t.tgisinternal`
	const ofPostgres = `SELECT format('DROP TRIGGER %I ON %I', t.tgname, c.relname), pg_get_triggerdef(t.oid, true)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal ORDER BY c.relname, t.tgname`
	const ofSQLite = `SELECT 'DROP TRIGGER "' || name || '"', sql
FROM sqlite_master WHERE type = 'trigger' ORDER BY name`
	if m.dialect == dialect.SQLite {
		return all, all.add(ctx, db, ofSQLite)
	}
	if err := all.add(ctx, db, functions); err != nil {
		return all, err
	}
	var create []string
	for i, definition := range all.create {
		name := strings.TrimPrefix(all.drop[i], "DROP FUNCTION ")
		create = append(create, searchPathSetting.ReplaceAllString(definition, ""))
		if searchPathSetting.MatchString(definition) {
			create = append(create, fmt.Sprintf(pinFunction, name), "REVOKE EXECUTE ON FUNCTION "+name+" FROM PUBLIC")
		}
	}
	onTables := triggers{}
	if err := onTables.add(ctx, db, ofPostgres); err != nil {
		return all, err
	}
	// A function is dropped after its triggers, and created before them.
	return triggers{append(onTables.drop, all.drop...), append(create, onTables.create...)}, nil
}

func (t *triggers) add(ctx context.Context, db *sql.DB, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	for rows.Next() {
		var drop, create string
		if err := rows.Scan(&drop, &create); err != nil {
			return err
		}
		t.drop, t.create = append(t.drop, drop), append(t.create, create)
	}
	return rows.Err()
}
