package dbtest

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/migrations"
)

// Each runs the test once on SQLite and once on Postgres, in parallel, each on a migrated database
// of its own. With -short it runs the test on SQLite only.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	EachOptions(t, func(t *testing.T, opts database.Options) { test(t, Open(t, opts)) })
}

// EachOptions is Each for tests that open the database themselves, several times or in another
// process.
func EachOptions(t *testing.T, test func(t *testing.T, opts database.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	if testing.Short() {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// SQLite returns the options of a migrated SQLite database.
func SQLite(t testing.TB) database.Options {
	t.Helper()
	opts := EmptySQLite(t)
	MigrateUp(t, opts)
	return opts
}

// EmptySQLite returns the options of a SQLite database that was never migrated.
func EmptySQLite(t testing.TB) database.Options {
	t.Helper()
	return database.Options{DataDir: t.TempDir()}
}

// Postgres returns the options of a migrated Postgres database.
func Postgres(t testing.TB) database.Options {
	t.Helper()
	s := server(t)
	s.once.Do(func() {
		s.templateErr = errors.New("the template could not be made: see the first failed test")
		s.template, s.templateErr = s.makeTemplate(t)
	})
	if s.templateErr != nil {
		t.Fatal(s.templateErr)
	}
	return clone(t, s, s.template)
}

// EmptyPostgres returns the options of a Postgres database that was never migrated.
func EmptyPostgres(t testing.TB) database.Options {
	t.Helper()
	return clone(t, server(t), "template1")
}

func postgresOptions(url string) database.Options {
	return database.Options{URL: url, PoolSize: 4, MaxOverflow: 4, Prepared: true, ConnectTimeout: 2 * time.Minute}
}

// Open opens a database until the test ends.
func Open(t testing.TB, opts database.Options) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// MigrateUp migrates a database.
func MigrateUp(t testing.TB, opts database.Options) {
	t.Helper()
	db, err := database.Open(t.Context(), opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m, err := database.NewMigrator(db)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// postgresServer is the one server of this test binary.
type postgresServer struct {
	url   string
	admin *sql.DB
	// stop is never called: the server stops when this process ends. The field keeps the keeper's
	// standard input from being collected, which would stop the server.
	stop        func()
	once        sync.Once
	template    string
	templateErr error
}

var start = sync.OnceValues(func() (*postgresServer, error) {
	s := &postgresServer{url: os.Getenv("TENANTRY_TEST_POSTGRES_URL")}
	var err error
	if s.url == "" {
		if s.url, s.stop, err = StartPostgres(false); err != nil {
			return nil, err
		}
	}
	s.admin, err = sql.Open("postgres", s.url)
	return s, err
})

func server(t testing.TB) *postgresServer {
	t.Helper()
	s, err := start()
	if errors.Is(err, ErrNoPostgres) && os.Getenv("CI") != "true" {
		t.Skipf("NOT TESTED ON POSTGRES: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// makeTemplate returns the name of a migrated database that all test binaries on the server share.
// The database gets that name once it is complete.
func (s *postgresServer) makeTemplate(t testing.TB) (string, error) {
	dir, err := migrations.Dir("postgres")
	if err != nil {
		return "", err
	}
	sums, err := dir.Checksum()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(sums.Sum()))
	name := "tenantry_template_" + hex.EncodeToString(hash[:8])
	conn, err := s.admin.Conn(t.Context())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "SELECT pg_advisory_lock(7465)"); err != nil {
		return "", err
	}
	defer conn.ExecContext(t.Context(), "SELECT pg_advisory_unlock(7465)")
	var exists bool
	if err := conn.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).
		Scan(&exists); err != nil || exists {
		return name, err
	}
	draft := "draft_" + strings.ToLower(rand.Text())
	if err := s.create(draft, "template1"); err != nil {
		return "", err
	}
	MigrateUp(t, postgresOptions(ReplaceDatabase(s.url, draft)))
	_, err = conn.ExecContext(t.Context(), "ALTER DATABASE "+draft+" RENAME TO "+name)
	return name, err
}

func clone(t testing.TB, s *postgresServer, template string) database.Options {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	if err := s.create(name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return postgresOptions(ReplaceDatabase(s.url, name))
}

// create creates a database from a template, one at a time: Postgres refuses to copy a template
// that is being copied.
func (s *postgresServer) create(name, template string) error {
	creating.Lock()
	defer creating.Unlock()
	if _, err := s.admin.Exec("CREATE DATABASE " + name + " TEMPLATE " + template); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}

var creating sync.Mutex
