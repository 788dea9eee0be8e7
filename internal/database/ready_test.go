package database_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// A refused session is an outage while the server runs. At start, Open retries only after a
// temporary error.
func TestPool_serverThatRefusesSessionsIsUnavailable(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	c.Exec("CREATE ROLE app LOGIN", "CREATE DATABASE app")
	dsn, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	dsn.User, dsn.Path = url.User("app"), "/app"
	opts := c.Options
	opts.URL = dsn.String()
	opts.ConnectTimeout = time.Second
	for _, test := range []struct {
		name, refuse, accept string
		waits                bool
	}{
		{"role may not sign in (28000)", "ALTER ROLE app NOLOGIN", "ALTER ROLE app LOGIN", false},
		{"database renamed (3D000)",
			"ALTER DATABASE app RENAME TO other", "ALTER DATABASE other RENAME TO app", false},
		{"role may not connect (42501)",
			"REVOKE CONNECT ON DATABASE app FROM public", "GRANT CONNECT ON DATABASE app TO public", false},
		{"database accepts no connections (55000)",
			"ALTER DATABASE app ALLOW_CONNECTIONS false", "ALTER DATABASE app ALLOW_CONNECTIONS true", true},
		{"connections of the role are used up (53300)",
			"ALTER ROLE app CONNECTION LIMIT 0", "ALTER ROLE app CONNECTION LIMIT -1", true},
	} {
		db := dbtest.Open(t, opts)
		end := "SELECT pg_terminate_backend(pid, 4000) FROM pg_stat_activity WHERE usename = 'app'"
		if strings.Contains(test.refuse, "RENAME") {
			c.Exec(end, test.refuse)
		} else {
			c.Exec(test.refuse, end)
		}
		if err := query(t.Context(), db, "SELECT 1", new(any)); !database.Unavailable(err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if log, err := openError(t, opts); strings.Contains(log, "trying again") != test.waits {
			t.Errorf("%s: %v\n%s", test.name, err, log)
		}
		c.Exec(test.accept)
		if err := query(t.Context(), db, "SELECT 1", new(any)); err != nil {
			t.Errorf("%s, and is accepted again: %v", test.name, err)
		}
	}
}

func TestReady_serverThatAcceptsNoWritesIsNotReady(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	db := dbtest.Open(t, c.Options)
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("writable: %v", err)
	}
	readOnly(t, c, "on")
	if err := db.Ready(t.Context()); !database.Unavailable(err) {
		t.Errorf("read-only: %v", err)
	}
	readOnly(t, c, "off")
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("writable again: %v", err)
	}
	standBy(t, c)
	if err := db.Ready(t.Context()); !database.Unavailable(err) {
		t.Errorf("in recovery: %v", err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("it answers: %v", err)
	}
}

// An instance that only reads discards its connections too, by its readiness checks.
func TestReady_connectionsLeaveServerThatBecameReadOnly(t *testing.T) {
	t.Parallel()
	first, _, opts := pair(t)
	db := dbtest.Open(t, opts)
	if err := db.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	readOnly(t, first, "on")
	if err := db.Ready(t.Context()); !database.Unavailable(err) {
		t.Errorf("%v", err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("on the other host: %v", err)
	}
}
