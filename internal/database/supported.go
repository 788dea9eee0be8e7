package database

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
)

// minPostgres and maxPostgres are the major versions that Tenantry is tested with.
const (
	minPostgres = 14
	maxPostgres = 18
)

// supported fails for a server that is too old, and for a database whose encoding is not UTF-8. It
// logs a warning for a server that is newer than the tested ones.
func supported(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	var number int
	var version, name, encoding string
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int,
		current_setting('server_version'), current_database(), current_setting('server_encoding')`).
		Scan(&number, &version, &name, &encoding)
	if err != nil {
		return fmt.Errorf("read the version of PostgreSQL: %w", err)
	}
	if major := number / 10_000; major < minPostgres {
		return fmt.Errorf("PostgreSQL %s is too old: Tenantry supports PostgreSQL %d to %d", version, minPostgres,
			maxPostgres)
	} else if major > maxPostgres {
		log.WarnContext(ctx, "PostgreSQL is newer than the versions that this build is tested with",
			"version", version, "tested", fmt.Sprintf("%d to %d", minPostgres, maxPostgres))
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database %q has the encoding %s, which cannot store every name: create one with "+
			"CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0 and name it in the database URL", name, encoding)
	}
	return nil
}
