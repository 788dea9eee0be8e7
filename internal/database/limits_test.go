package database_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// sized opens a database and returns the number of connections of its pool, and the log.
func sized(t *testing.T, opts database.Options) (connections int, log string) {
	t.Helper()
	var out bytes.Buffer
	db, err := database.Open(t.Context(), opts, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db.SQL.Stats().MaxOpenConnections, out.String()
}

// withDefaults returns the options if the operator has set no size.
func withDefaults(opts database.Options) database.Options {
	opts.PoolSize, opts.MaxOverflow, opts.PoolDefault = 25, 50, true
	return opts
}

// The server has the default of Postgres, max_connections 100, of which 2 are reserved for
// superusers. A process may still count for a moment after its connection is closed: one or two of
// them do not change the results.
func TestPoolSize_defaultIsLoweredToThirdOfFreeConnections(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	c.Exec("ALTER SYSTEM SET superuser_reserved_connections = 2")
	c.Stop(syscall.SIGINT)
	c.Start()
	n, log := sized(t, withDefaults(c.Options))
	if n != 31 { // and one for the reader of the change log
		t.Errorf("%d connections, want 31", n)
	}
	for _, want := range []string{"level=INFO", "connections=31", "default=75", "free=9", "max_connections=100"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not logged: %s", want, log)
		}
	}
	if lines := strings.Count(log, "\n"); lines != 1 {
		t.Errorf("logged %d lines: %s", lines, log)
	}
}

func TestPoolSize_connectionsInUseAreNotFree(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	other := dbtest.Open(t, database.Options{URL: c.URL, PoolSize: 30})
	var held sync.WaitGroup
	release := make(chan struct{})
	for range 29 {
		conn, err := other.SQL.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held.Go(func() { <-release; conn.Close() })
	}
	n, log := sized(t, withDefaults(c.Options))
	close(release)
	held.Wait()
	if n != 21 || !strings.Contains(log, "free=6") {
		t.Errorf("%d connections, want 21 of 68 free ones: %s", n, log)
	}
}

func TestPoolSize_limitsOfRoleAndDatabaseCount(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	c.Exec("CREATE ROLE app LOGIN", "CREATE DATABASE app")
	dsn, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	dsn.User, dsn.Path = url.User("app"), "/app"
	opts := withDefaults(c.Options)
	opts.URL = dsn.String()
	for _, test := range []struct {
		name, limit, unlimited string
		want                   int
	}{
		{"role", "ALTER ROLE app CONNECTION LIMIT 32", "ALTER ROLE app CONNECTION LIMIT -1", 9},
		{"database", "ALTER DATABASE app CONNECTION LIMIT 47", "ALTER DATABASE app CONNECTION LIMIT -1", 14},
		{"least", "ALTER ROLE app CONNECTION LIMIT 6", "ALTER ROLE app CONNECTION LIMIT -1", 4},
	} {
		c.Exec(test.limit)
		db, err := database.Open(t.Context(), opts, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if n := db.SQL.Stats().MaxOpenConnections; n != test.want {
			t.Errorf("%s: %d connections, want %d", test.name, n, test.want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		c.Exec(test.unlimited)
	}
}

func TestPoolSize_explicitIsKept(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	opts := c.Options
	opts.PoolSize, opts.MaxOverflow = 60, 30
	if n, log := sized(t, opts); n != 90 || log != "" {
		t.Errorf("%d connections, want 90 and an empty log: %s", n, log)
	}
	opts.MaxOverflow = 140
	n, log := sized(t, opts)
	if n != 200 || !strings.Contains(log, "level=WARN") || !strings.Contains(log, "TENANTRY_DB_POOL_SIZE") {
		t.Errorf("%d connections, want 200 with a warning: %s", n, log)
	}
}

// Three instances under load fit in a server with the defaults of Postgres.
func TestPoolSize_threeInstancesFitInOneServer(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	var load sync.WaitGroup
	for range 3 {
		db := dbtest.Open(t, withDefaults(c.Options))
		for range 75 { // the default size of the pool
			load.Go(func() {
				for range 5 {
					if err := query(t.Context(), db, "SELECT pg_sleep(0.02)", new(any)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	load.Wait()
}
