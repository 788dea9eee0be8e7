package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlclient"
	"ariga.io/atlas/sql/sqlite"
	"entgo.io/ent/dialect"
	"github.com/cenkalti/backoff/v5"
	"github.com/gofrs/flock"
	"github.com/lib/pq"

	"tenantry/migrations"
)

const (
	// lockName is the CLI's lock name, so that on Postgres the CLI and the binary exclude each
	// other.
	lockName = "atlas_migrate_execute"
	// lockTimeout is how long a process waits for another one that is migrating.
	lockTimeout = 5 * time.Minute
	operator    = "tenantry"
	// lockPause is the pause before a migration tries again to lock its tables. lockNotAvailable is
	// the SQLSTATE of a lock timeout.
	lockPause        = 2 * time.Second
	lockNotAvailable = "55P03"
)

// Migrator applies the embedded migrations to one database. It writes Atlas' history, so that the
// Atlas CLI and the binary can be used in turn.
type Migrator struct {
	db      *sql.DB
	dialect string
	dir     migrate.Dir
	opts    Options
}

// Version is one migration and whether it is applied.
type Version struct {
	Version, Name string
	Applied       bool
}

// ErrNewer means that a newer build has migrated the database. An older build may continue to
// serve, since migrations only add what it does not use, but it cannot migrate down.
var ErrNewer = errors.New("the database was migrated by a newer build of tenantry: migrate it with that build")

// NewMigrator returns the migrator of an open database. It opens separate connections without
// statement timeout.
func NewMigrator(db *DB) (*Migrator, error) {
	dir, err := migrations.Dir(folder[db.Dialect()])
	if err != nil {
		return nil, err
	}
	return newMigrator(db, dir)
}

// WithMigrator calls do with a migrator, and closes the migrator afterwards.
func WithMigrator(db *DB, do func(*Migrator) error) (err error) {
	m, err := NewMigrator(db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return do(m)
}

// folder is the folder of the migrations of each dialect.
var folder = map[string]string{dialect.SQLite: "sqlite", dialect.Postgres: "postgres"}

func newMigrator(db *DB, dir migrate.Dir) (*Migrator, error) {
	conn, err := openMigrations(db.opts)
	if err != nil {
		return nil, err
	}
	return &Migrator{db: conn, dialect: db.Dialect(), dir: dir, opts: db.opts}, nil
}

// openMigrations opens a pool without statement timeout, and on SQLite without foreign keys:
// rebuilding a table drops the old one, and that must not delete the rows that refer to it. Foreign
// keys are checked before each commit.
func openMigrations(opts Options) (*sql.DB, error) {
	if opts.URL == "" {
		db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(opts.DataDir, SQLiteFile)))
		if err != nil {
			return nil, fmt.Errorf("open SQLite: %w", err)
		}
		db.SetMaxOpenConns(1)
		return db, nil
	}
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		return nil, errors.New("the database URL is not a valid URL")
	}
	return openDSN(dsn, oneRoundTrip, 0)
}

// Close closes the migrator's connections.
func (m *Migrator) Close() error { return m.db.Close() }

// Status returns every embedded migration, oldest first. It returns ErrNewer with them if a newer
// build has migrated the database, and fails if the history is not valid (see check).
func (m *Migrator) Status(ctx context.Context) ([]Version, error) {
	h, exists, err := openHistory(ctx, m.db, m.dialect)
	if err != nil {
		return nil, err
	}
	var revisions []*migrate.Revision
	if exists {
		if revisions, err = h.ReadRevisions(ctx); err != nil {
			return nil, fmt.Errorf("read the migration history: %w", err)
		}
	}
	if err := m.check(revisions); err != nil {
		return nil, err
	}
	files, err := m.dir.Files()
	if err != nil {
		return nil, err
	}
	versions := make([]Version, 0, len(files))
	for _, f := range files {
		versions = append(versions, Version{Version: f.Version(), Name: f.Desc(),
			Applied: find(revisions, f.Version()) != nil})
	}
	if last := len(versions) - 1; len(revisions) > 0 && revisions[len(revisions)-1].Version > versions[last].Version {
		return versions, ErrNewer
	}
	return versions, nil
}

// Up applies the pending migrations, each in one transaction with its entry in the history, and
// returns those that it applied. Of several concurrent calls, one applies them and the others
// return none.
func (m *Migrator) Up(ctx context.Context) (applied []Version, err error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	h, _, err := openHistory(ctx, m.db, m.dialect)
	if err != nil {
		return nil, err
	}
	if err := h.create(ctx); err != nil {
		return nil, err
	}
	revisions, err := h.ReadRevisions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the migration history: %w", err)
	}
	if err := m.check(revisions); err != nil {
		return nil, err
	}
	pending, err := m.pending(ctx, h)
	if err != nil {
		return nil, err
	}
	for _, f := range pending {
		if err := m.applyOnceFree(ctx, h, f); err != nil {
			return applied, fmt.Errorf("migration %s failed and was rolled back: %w", f.Name(), err)
		}
		applied = append(applied, Version{Version: f.Version(), Name: f.Desc(), Applied: true})
	}
	return applied, nil
}

func (m *Migrator) pending(ctx context.Context, h *history) ([]migrate.File, error) {
	executor, err := m.executor(m.db, h)
	if err != nil {
		return nil, err
	}
	pending, err := executor.Pending(ctx)
	if errors.Is(err, migrate.ErrNoPendingFiles) {
		return nil, nil
	}
	return pending, err
}

// applyOnceFree applies a migration, and tries again after a lock timeout. Requests wait behind a
// migration that waits for a lock, so its lock timeout is short.
func (m *Migrator) applyOnceFree(ctx context.Context, h *history, f migrate.File) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := m.apply(ctx, h, f)
		if e, ok := errors.AsType[*pq.Error](err); err != nil && (!ok || e.Code != lockNotAvailable) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(lockPause)), backoff.WithMaxElapsedTime(lockTimeout))
	return err
}

func (m *Migrator) apply(ctx context.Context, h *history, f migrate.File) error {
	return m.inTx(ctx, func(tx schema.ExecQuerier) error {
		executor, err := m.executor(tx, h.on(tx))
		if err != nil {
			return err
		}
		return executor.Execute(ctx, f)
	})
}

// inTx runs fn in a transaction. On SQLite Atlas compares the foreign keys before and after it.
func (m *Migrator) inTx(ctx context.Context, fn func(schema.ExecQuerier) error) error {
	open := func(ctx context.Context) (*sqlclient.Tx, error) {
		tx, err := m.db.BeginTx(ctx, nil)
		return &sqlclient.Tx{Tx: tx}, err
	}
	if m.dialect == dialect.SQLite {
		open = func(ctx context.Context) (*sqlclient.Tx, error) { return sqlite.OpenTx(ctx, m.db, nil) }
	}
	tx, err := open(ctx)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// executor returns Atlas' executor. It accepts a database with other tables: a migration that
// creates a table which exists fails and changes nothing.
func (m *Migrator) executor(conn schema.ExecQuerier, h migrate.RevisionReadWriter) (*migrate.Executor, error) {
	drv, err := m.atlas(conn)
	if err != nil {
		return nil, err
	}
	return migrate.NewExecutor(drv, m.dir, h, migrate.WithAllowDirty(true), migrate.WithOperatorVersion(operator))
}

// atlas returns Atlas' driver on a connection or transaction.
func (m *Migrator) atlas(conn schema.ExecQuerier) (migrate.Driver, error) {
	if m.dialect == dialect.SQLite {
		return sqlite.Open(conn)
	}
	return postgres.Open(conn)
}

// lock locks out other processes that migrate, until the returned function is called. The lock of a
// killed process is released.
func (m *Migrator) lock(ctx context.Context) (func() error, error) {
	if m.dialect == dialect.SQLite {
		// Atlas' lock for SQLite is a file that remains after a kill. The kernel releases this one.
		file := flock.New(filepath.Join(m.opts.DataDir, SQLiteFile+".lock"))
		waiting, cancel := context.WithTimeout(ctx, lockTimeout)
		defer cancel()
		_, err := file.TryLockContext(waiting, 20*time.Millisecond)
		switch {
		case waiting.Err() != nil:
			return nil, fmt.Errorf("wait for another process that is migrating: %w", err)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("lock the data folder: %w", ExplainAccess(err, m.opts.DataDir))
		case err != nil:
			return nil, fmt.Errorf("lock the data folder: the file system of %s does not support file locks%s",
				m.opts.DataDir, dataFolderAdvice(err))
		}
		return file.Unlock, nil
	}
	drv, err := postgres.Open(m.db)
	if err != nil {
		return nil, err
	}
	unlock, err := drv.(schema.Locker).Lock(ctx, lockName, lockTimeout)
	if err != nil {
		return nil, fmt.Errorf("wait for another process that is migrating: %w", err)
	}
	return unlock, nil
}
