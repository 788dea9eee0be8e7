package database_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// ignore is the setting with which PgBouncer accepts the start-up parameter that it refuses by
// default.
const ignore = "ignore_startup_parameters = statement_timeout"

// advice is the advice for a pooler that mixes statements.
const advice = "TENANTRY_DB_PREPARED=false"

func TestOpen_poolerThatMixesStatementsIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"transaction", "statement"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), "pool_mode = "+mode, ignore)
			start := time.Now()
			log, err := openError(t, p.Options)
			if !strings.Contains(err.Error(), advice) {
				t.Errorf("open: %v", err)
			}
			if took := time.Since(start); took > 10*time.Second || strings.Contains(log, "trying again") {
				t.Errorf("refused after %s: %s", took, log)
			}
		})
	}
}

func TestOpen_poolerThatRefusesStartupParameterIsConfigurationError(t *testing.T) {
	t.Parallel()
	p := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), "pool_mode = transaction")
	p.ConnectTimeout = 5 * time.Second
	log, err := openError(t, p.Options)
	if !strings.Contains(err.Error(), advice) || !strings.Contains(err.Error(), "statement_timeout") {
		t.Errorf("open: %v", err)
	}
	if strings.Contains(log, "trying again") {
		t.Errorf("tried again: %s", log)
	}
}

// A parameter of the database URL is refused whether or not statements are prepared.
func TestOpen_poolerThatRefusesParameterOfURLNamesTheURL(t *testing.T) {
	t.Parallel()
	p := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), "pool_mode = transaction")
	p.Prepared, p.ConnectTimeout = false, 5*time.Second
	p.URL += "&work_mem=64MB"
	log, err := openError(t, p.Options)
	if !strings.Contains(err.Error(), "TENANTRY_DATABASE_URL") || strings.Contains(err.Error(), advice) {
		t.Errorf("open: %v", err)
	}
	if strings.Contains(log, "trying again") {
		t.Errorf("tried again: %s", log)
	}
}

func TestOpen_poolerThatKeepsStatementsApartIsAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepared bool
		settings []string
	}{
		"unprepared through transaction pooling": {false, []string{"pool_mode = transaction"}},
		"prepared through session pooling":       {true, []string{"pool_mode = session", ignore}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), test.settings...)
			p.Prepared = test.prepared
			newTenant(t, dbtest.Open(t, p.Options))
		})
	}
}

// The test prepares the statements that a pooler would leave on a server connection itself.
func TestPool_mixedStatementsFailEveryLaterStatement(t *testing.T) {
	t.Parallel()
	const probe = "SELECT $1::int"
	for name, mix := range map[string][]string{
		"no statement of that name (26000)":           {"DEALLOCATE ALL"},
		"a statement of that name (42P05)":            {`PREPARE "2" AS SELECT 1`},
		"a statement with other parameters (08P01)":   {"DEALLOCATE ALL", `PREPARE "1" AS SELECT 1`},
		"no statement of that name, in a transaction": {"DEALLOCATE ALL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withOneConnection(t, dbtest.Postgres(t))
			read := func(query string) error {
				return database.Rows(t.Context(), db.Client, query, []any{1}, func(*sql.Rows) error { return nil })
			}
			if err := read(probe); err != nil { // which is prepared as "1"
				t.Fatal(err)
			}
			for _, statement := range mix {
				if _, err := db.SQL.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			failed := read
			switch {
			case strings.Contains(name, "42P05"):
				failed = func(string) error { return read("SELECT 2, $1::int") } // is prepared as the next
			case strings.Contains(name, "transaction"):
				failed = func(string) error {
					return database.WithTx(t.Context(), db.Client, func(tx *ent.Client) error {
						return database.Rows(t.Context(), tx, probe, []any{1}, func(*sql.Rows) error { return nil })
					})
				}
			}
			err := failed(probe)
			if err == nil || !strings.Contains(err.Error(), advice) || !database.Unavailable(err) {
				t.Errorf("statement: %v", err)
			}
			select {
			case reason := <-db.Failed():
				if !strings.Contains(reason.Error(), advice) {
					t.Errorf("reason: %v", reason)
				}
			default:
				t.Error("Failed received no error")
			}
			// The next statement could be another client's.
			if err := db.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), advice) {
				t.Errorf("next statement: %v", err)
			}
		})
	}
}

func TestPool_poolerThatStartsToMixStatementsFailsThePool(t *testing.T) {
	t.Parallel()
	p := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), "pool_mode = session", ignore)
	db := dbtest.Open(t, p.Options)
	ctx, _ := newTenant(t, db)
	p.Reload("pool_mode = transaction", ignore)
	for begun := time.Now(); time.Since(begun) < 20*time.Second; {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() { _, _ = db.Client.Tenant.Query().Count(ctx) })
			wait.Go(func() { _, _ = db.Client.User.Query().Exist(ctx) })
			wait.Go(func() { _ = db.Client.Tenant.Update().SetName("Written").Exec(ctx) })
		}
		wait.Wait()
		select {
		case err := <-db.Failed():
			if !strings.Contains(err.Error(), advice) {
				t.Errorf("%v", err)
			}
			return
		default:
		}
	}
	t.Error("Failed received no error")
}

// PgBouncer uses the code of a protocol violation for every refusal.
func TestPool_poolerThatRefusesConnectionsIsUnavailable(t *testing.T) {
	t.Parallel()
	p := dbtest.ThroughPgBouncer(t, dbtest.Postgres(t), "pool_mode = session", ignore, "max_client_conn = 3")
	db := dbtest.Open(t, p.Options)
	var (
		busy    sync.WaitGroup
		refused atomic.Int64
	)
	for range 8 {
		busy.Go(func() {
			if err := query(t.Context(), db, "SELECT pg_sleep(0.3)", new(any)); err != nil {
				refused.Add(1)
				if !database.Unavailable(err) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	busy.Wait()
	if refused.Load() == 0 {
		t.Error("the pooler refused nothing")
	}
	select {
	case err := <-db.Failed():
		t.Errorf("Failed received an error: %v", err)
	default:
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// lib/pq describes a statement with parameters before it sends them. A pooler in transaction mode
// may send the two to different server connections, although it maps prepared statements.
func TestPool_unpreparedStatementThroughMappingPoolerIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.ThroughMappingPooler(t, dbtest.Postgres(t), 3))
	var clients sync.WaitGroup
	for client := range 6 {
		clients.Go(func() {
			for range 50 {
				var got int
				// Each client has its own statement, so that none can be mistaken for another.
				query := fmt.Sprintf("SELECT $1::int + %d", client)
				if err := db.SQL.QueryRowContext(t.Context(), query, 100).Scan(&got); err != nil || got != 100+client {
					t.Errorf("got %d, %v", got, err)
					return
				}
			}
		})
	}
	clients.Wait()
}
