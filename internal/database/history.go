package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
)

// historyTable is Atlas' table of applied migrations. It has the columns of the CLI's table, so
// that the CLI and the binary can be used in turn.
const historyTable = "atlas_schema_revisions"

// createHistory has the columns that Atlas' CLI gives the table on each database.
var createHistory = map[string]string{
	dialect.SQLite: "CREATE TABLE IF NOT EXISTS `atlas_schema_revisions` (" +
		"`version` text NOT NULL, `description` text NOT NULL, `type` integer NOT NULL DEFAULT 2, " +
		"`applied` integer NOT NULL DEFAULT 0, `total` integer NOT NULL DEFAULT 0, `executed_at` datetime NOT NULL, " +
		"`execution_time` integer NOT NULL, `error` text NULL, `error_stmt` text NULL, `hash` text NOT NULL, " +
		"`partial_hashes` json NULL, `operator_version` text NOT NULL, PRIMARY KEY (`version`))",
	dialect.Postgres: `CREATE TABLE IF NOT EXISTS "atlas_schema_revisions" (` +
		`"version" character varying NOT NULL, "description" character varying NOT NULL, ` +
		`"type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0, ` +
		`"executed_at" timestamptz NOT NULL, "execution_time" bigint NOT NULL, "error" text NULL, ` +
		`"error_stmt" text NULL, "hash" character varying NOT NULL, "partial_hashes" jsonb NULL, ` +
		`"operator_version" character varying NOT NULL, PRIMARY KEY ("version"))`,
}

var historyColumns = []string{
	"version", "description", "type", "applied", "total", "executed_at", "execution_time", "error", "error_stmt",
	"hash", "partial_hashes", "operator_version",
}

// history is Atlas' table of applied revisions, read and written through a connection or a
// transaction.
type history struct {
	schema.ExecQuerier
	dialect string
	// schema is the schema of the table; empty means the connection's own.
	schema string
}

// insufficientPrivilege is a SQLSTATE.
const insufficientPrivilege = "42501"

// findHistory returns the schema of the table, empty for the connection's own, and whether the role
// may read it. It reads the catalogue: information_schema hides tables that the role may not use.
const findHistory = `SELECT CASE WHEN relnamespace = n.oid THEN '' ELSE relnamespace::regnamespace::text END,
		has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
	FROM pg_class c LEFT JOIN pg_namespace n ON nspname = current_schema()
	WHERE relname = '` + historyTable + `' AND relkind IN ('r', 'p', 'v')
		AND (relnamespace = n.oid OR relnamespace = to_regnamespace('` + historyTable + `'))
	ORDER BY relnamespace = n.oid DESC LIMIT 1`

// openHistory looks for the table in the connection's schema, and in the schema that Atlas' CLI
// creates if its URL names no schema. exists is false on a database that was never migrated.
func openHistory(ctx context.Context, conn schema.ExecQuerier, name string) (h *history, exists bool, err error) {
	h = &history{ExecQuerier: conn, dialect: name}
	query := "SELECT '', true FROM sqlite_master WHERE type = 'table' AND name = '" + historyTable + "'"
	if name == dialect.Postgres {
		if err := h.checkSchema(ctx); err != nil {
			return nil, false, err
		}
		query = findHistory
	}
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, false, fmt.Errorf("look for the migration history: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	readable := true
	for rows.Next() {
		exists = true
		if err := rows.Scan(&h.schema, &readable); err != nil {
			return nil, false, fmt.Errorf("look for the migration history: %w", err)
		}
	}
	if !readable {
		return nil, false, fmt.Errorf("the role of the database URL may not read the migration history (permission "+
			"denied): run GRANT SELECT ON %s TO the role; docs/migrations.md lists every right that it needs",
			historyTable)
	}
	return h, exists, rows.Err()
}

// checkSchema refuses a search_path of which the role may use no schema.
func (h *history) checkSchema(ctx context.Context) (err error) {
	rows, err := h.QueryContext(ctx, "SELECT current_schema() IS NOT NULL, current_setting('search_path')")
	if err != nil {
		return fmt.Errorf("look for the migration history: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	usable, path := true, ""
	for rows.Next() {
		if err := rows.Scan(&usable, &path); err != nil {
			return fmt.Errorf("look for the migration history: %w", err)
		}
	}
	if !usable {
		return fmt.Errorf("the role of the database URL may use no schema of its search_path (%s): create the "+
			"schema, or run GRANT USAGE ON SCHEMA … TO the role", path)
	}
	return rows.Err()
}

// create creates the table if it does not exist.
func (h *history) create(ctx context.Context) error {
	if h.schema != "" {
		return nil
	}
	if _, err := h.ExecContext(ctx, createHistory[h.dialect]); err != nil {
		err = fmt.Errorf("create the migration history: %w", err)
		if e, ok := errors.AsType[*pq.Error](err); ok && e.Code == insufficientPrivilege {
			err = fmt.Errorf("%w: migrate as the owner of the database, or run GRANT CREATE ON SCHEMA … TO the role",
				err)
		}
		return err
	}
	return nil
}

// on returns the same history, read and written through a transaction.
func (h *history) on(tx schema.ExecQuerier) *history {
	return &history{ExecQuerier: tx, dialect: h.dialect, schema: h.schema}
}

// Ident names the table.
func (h *history) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: historyTable, Schema: h.schema}
}

// ReadRevisions returns every revision, oldest first.
func (h *history) ReadRevisions(ctx context.Context) ([]*migrate.Revision, error) {
	return h.read(ctx, func(s *entsql.Selector) {
		// The CLI stores an identifier of the table under a version that begins with a dot.
		s.Where(entsql.Not(entsql.HasPrefix("version", ".")))
	})
}

// ReadRevision returns one revision, or migrate.ErrRevisionNotExist.
func (h *history) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	revisions, err := h.read(ctx, func(s *entsql.Selector) { s.Where(entsql.EQ("version", version)) })
	if err != nil {
		return nil, err
	}
	if len(revisions) == 0 {
		return nil, migrate.ErrRevisionNotExist
	}
	return revisions[0], nil
}

func (h *history) read(ctx context.Context, where func(*entsql.Selector)) (_ []*migrate.Revision, err error) {
	s := entsql.Dialect(h.dialect).Select(historyColumns...).
		From(entsql.Table(historyTable).Schema(h.schema)).OrderBy("version")
	where(s)
	query, args := s.Query()
	rows, err := h.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var revisions []*migrate.Revision
	for rows.Next() {
		var (
			r             migrate.Revision
			took          int64
			failed, stmt  sql.NullString
			partialHashes []byte
		)
		if err := rows.Scan(&r.Version, &r.Description, &r.Type, &r.Applied, &r.Total, &r.ExecutedAt, &took,
			&failed, &stmt, &r.Hash, &partialHashes, &r.OperatorVersion); err != nil {
			return nil, err
		}
		if len(partialHashes) > 0 {
			if err := json.Unmarshal(partialHashes, &r.PartialHashes); err != nil {
				return nil, err
			}
		}
		r.ExecutionTime, r.Error, r.ErrorStmt = time.Duration(took), failed.String, stmt.String
		revisions = append(revisions, &r)
	}
	return revisions, rows.Err()
}

// WriteRevision inserts or replaces a revision.
func (h *history) WriteRevision(ctx context.Context, r *migrate.Revision) error {
	partialHashes, err := json.Marshal(r.PartialHashes)
	if err != nil {
		return err
	}
	query, args := entsql.Dialect(h.dialect).Insert(historyTable).Schema(h.schema).Columns(historyColumns...).
		Values(r.Version, r.Description, uint(r.Type), r.Applied, r.Total, r.ExecutedAt.UTC(), int64(r.ExecutionTime),
			entsql.NullString{String: r.Error, Valid: r.Error != ""},
			entsql.NullString{String: r.ErrorStmt, Valid: r.ErrorStmt != ""},
			r.Hash, string(partialHashes), r.OperatorVersion).
		OnConflict(entsql.ConflictColumns("version"), entsql.ResolveWithNewValues()).
		Query()
	_, err = h.ExecContext(ctx, query, args...)
	return err
}

// DeleteRevision removes a revision.
func (h *history) DeleteRevision(ctx context.Context, version string) error {
	query, args := entsql.Dialect(h.dialect).Delete(historyTable).Schema(h.schema).
		Where(entsql.EQ("version", version)).Query()
	_, err := h.ExecContext(ctx, query, args...)
	return err
}
