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
)

// historyTable is where Atlas keeps which migrations were applied. Its shape is the CLI's, so that either may go on where
// the other stopped.
const historyTable = "atlas_schema_revisions"

// createHistory has the columns that Atlas' CLI gives the table on each database.
var createHistory = map[string]string{
	dialect.SQLite: "CREATE TABLE IF NOT EXISTS `atlas_schema_revisions` (" +
		"`version` text NOT NULL, `description` text NOT NULL, `type` integer NOT NULL DEFAULT 2, " +
		"`applied` integer NOT NULL DEFAULT 0, `total` integer NOT NULL DEFAULT 0, `executed_at` datetime NOT NULL, " +
		"`execution_time` integer NOT NULL, `error` text NULL, `error_stmt` text NULL, `hash` text NOT NULL, " +
		"`partial_hashes` json NULL, `operator_version` text NOT NULL, PRIMARY KEY (`version`))",
	dialect.Postgres: `CREATE TABLE IF NOT EXISTS "atlas_schema_revisions" (` +
		`"version" character varying NOT NULL, "description" character varying NOT NULL, "type" bigint NOT NULL DEFAULT 2, ` +
		`"applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0, "executed_at" timestamptz NOT NULL, ` +
		`"execution_time" bigint NOT NULL, "error" text NULL, "error_stmt" text NULL, "hash" character varying NOT NULL, ` +
		`"partial_hashes" jsonb NULL, "operator_version" character varying NOT NULL, PRIMARY KEY ("version"))`,
}

var historyColumns = []string{
	"version", "description", "type", "applied", "total", "executed_at", "execution_time", "error", "error_stmt", "hash",
	"partial_hashes", "operator_version",
}

// history is Atlas' table of applied revisions, read and written through a connection or a transaction.
type history struct {
	schema.ExecQuerier
	dialect string
	// schema is where the table lives; empty is the connection's own.
	schema string
}

// openHistory finds the table: in the connection's schema, or in the one that Atlas' CLI makes for itself when its URL
// names none. exists is false on a database that was never migrated.
func openHistory(ctx context.Context, conn schema.ExecQuerier, name string) (h *history, exists bool, err error) {
	h = &history{ExecQuerier: conn, dialect: name}
	query := "SELECT '' FROM sqlite_master WHERE type = 'table' AND name = '" + historyTable + "'"
	if name == dialect.Postgres {
		query = "SELECT CASE table_schema WHEN current_schema() THEN '' ELSE table_schema END FROM information_schema.tables" +
			" WHERE table_name = '" + historyTable + "' AND table_schema IN (current_schema(), '" + historyTable + "')" +
			" ORDER BY table_schema = current_schema() DESC LIMIT 1"
	}
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, false, fmt.Errorf("look for the migration history: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		exists = true
		if err := rows.Scan(&h.schema); err != nil {
			return nil, false, fmt.Errorf("look for the migration history: %w", err)
		}
	}
	return h, exists, rows.Err()
}

// create makes the table if it is missing.
func (h *history) create(ctx context.Context) error {
	if h.schema != "" {
		return nil
	}
	if _, err := h.ExecContext(ctx, createHistory[h.dialect]); err != nil {
		return fmt.Errorf("create the migration history: %w", err)
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
		// The CLI keeps an identifier of the table under a name that begins with a dot.
		s.Where(entsql.Not(entsql.HasPrefix("version", ".")))
	})
}

// ReadRevision returns one revision, or migrate.ErrRevisionNotExist.
func (h *history) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	found, err := h.read(ctx, func(s *entsql.Selector) { s.Where(entsql.EQ("version", version)) })
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, migrate.ErrRevisionNotExist
	}
	return found[0], nil
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
		if err := rows.Scan(&r.Version, &r.Description, &r.Type, &r.Applied, &r.Total, &r.ExecutedAt, &took, &failed, &stmt,
			&r.Hash, &partialHashes, &r.OperatorVersion); err != nil {
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
			entsql.NullString{String: r.Error, Valid: r.Error != ""}, entsql.NullString{String: r.ErrorStmt, Valid: r.ErrorStmt != ""},
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
