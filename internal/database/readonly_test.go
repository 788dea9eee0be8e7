package database_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// pair starts two migrated servers and returns them with the options of a pool that uses the
// writable one.
func pair(t *testing.T) (first, second *dbtest.Cluster, opts database.Options) {
	t.Helper()
	first, second = dbtest.OwnCluster(t), dbtest.OwnCluster(t)
	for _, c := range []*dbtest.Cluster{first, second} {
		_, m := open(t, c.Options)
		up(t, m)
	}
	opts = first.Options
	opts.URL = hosts(t, first, second)
	return first, second, opts
}

// hosts returns the URL of a failover pair.
func hosts(t *testing.T, first, second *dbtest.Cluster) string {
	t.Helper()
	dsn, err := url.Parse(first.URL)
	if err != nil {
		t.Fatal(err)
	}
	other, err := url.Parse(second.URL)
	if err != nil {
		t.Fatal(err)
	}
	dsn.Host += "," + other.Host
	return dsn.String() + "&target_session_attrs=read-write"
}

// readOnly makes a server refuse writes, or accept them again, in existing and new sessions.
func readOnly(t *testing.T, c *dbtest.Cluster, on string) {
	t.Helper()
	c.Exec("ALTER SYSTEM SET default_transaction_read_only = "+on, "SELECT pg_reload_conf()")
	db, err := sql.Open("postgres", c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var value string
		if err := db.QueryRowContext(t.Context(), "SHOW default_transaction_read_only").Scan(&value); err != nil {
			t.Fatal(err)
		}
		if value == on {
			return
		}
	}
	t.Fatalf("default_transaction_read_only is not %s", on)
}

func TestPool_readOnlyPrimaryIsReplacedByTheOtherHost(t *testing.T) {
	t.Parallel()
	first, second, opts := pair(t)
	db := dbtest.Open(t, opts)
	ctx, _ := newTenant(t, db)
	var busy sync.WaitGroup
	for range 8 { // as many connections as the pool has
		busy.Go(func() { _ = query(ctx, db, "SELECT pg_sleep(0.3)", new(any)) })
	}
	busy.Wait()
	write := func() error { return db.Client.Tenant.Create().SetSlug("second").SetName("Second").Exec(ctx) }
	readOnly(t, first, "on")
	begun := time.Now()
	err := write()
	for err != nil && time.Since(begun) < 10*time.Second {
		if !database.Unavailable(err) {
			t.Fatalf("write: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
		err = write()
	}
	if took := time.Since(begun); err != nil || took > 3*time.Second {
		t.Fatalf("written after %s: %v", took, err)
	}
	t.Logf("written after %s", time.Since(begun))
	// Every connection is replaced, not only the one with the error.
	for range 20 {
		db.Client.Tenant.Update().SetName("Written").ExecX(ctx)
	}
	if n := dbtest.Open(t, second.Options).Client.Tenant.Query().CountX(ctx); n != 1 {
		t.Errorf("%d tenants on the second server", n)
	}
	// The pool returns to the first server when the second one refuses writes.
	readOnly(t, first, "off")
	readOnly(t, second, "on")
	begun = time.Now()
	for err = db.Client.Tenant.Update().SetName("Back").Exec(ctx); err != nil && time.Since(begun) < 10*time.Second; {
		time.Sleep(20 * time.Millisecond)
		err = db.Client.Tenant.Update().SetName("Back").Exec(ctx)
	}
	if took := time.Since(begun); err != nil || took > 3*time.Second {
		t.Errorf("written to the first server after %s: %v", took, err)
	}
}

// lib/pq begins transactions with READ WRITE, which overrides the default that stops writes to an
// old primary.
func TestTransaction_onReadOnlyPrimaryIsUnavailable(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	db, m := open(t, c.Options)
	up(t, m)
	ctx, _ := newTenant(t, db)
	readOnly(t, c, "on")
	rename := func(tx *ent.Client) error { return tx.Tenant.Update().SetName("Lost").Exec(ctx) }
	if err := database.WithTx(ctx, db.Client, rename); !database.Unavailable(err) {
		t.Errorf("transaction: %v", err)
	}
	if err := rename(db.Client); !database.Unavailable(err) {
		t.Errorf("statement: %v", err)
	}
	if name := db.Client.Tenant.Query().OnlyX(ctx).Name; name != "Acme" {
		t.Errorf("the tenant was renamed to %s", name)
	}
}

func TestTransaction_onStandbyIsUnavailable(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	db, m := open(t, c.Options)
	up(t, m)
	ctx, _ := newTenant(t, db)
	standBy(t, c)
	rename := func(tx *ent.Client) error { return tx.Tenant.Update().SetName("Lost").Exec(ctx) }
	if err := database.WithTx(ctx, db.Client, rename); !database.Unavailable(err) {
		t.Errorf("transaction: %v", err)
	}
	if err := rename(db.Client); !database.Unavailable(err) {
		t.Errorf("statement: %v", err)
	}
	if n := db.Client.Tenant.Query().CountX(ctx); n != 1 {
		t.Errorf("%d tenants", n)
	}
}

// standBy restarts a server in recovery, as a standby without a primary.
func standBy(t *testing.T, c *dbtest.Cluster) {
	t.Helper()
	var data string
	db, err := sql.Open("postgres", c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	c.Stop(syscall.SIGINT)
	if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c.Start()
}

func TestPool_withoutWritableHostIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, attrs := range map[string]string{"one host": "read-write", "standby": "primary", "two hosts": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dbtest.OwnCluster(t)
			opts := c.Options
			opts.URL += "&target_session_attrs=" + attrs
			if name == "two hosts" {
				opts.URL = hosts(t, c, c)
			}
			db := dbtest.Open(t, opts)
			if name == "standby" {
				standBy(t, c)
			} else {
				readOnly(t, c, "on")
			}
			db.SQL.SetMaxIdleConns(0) // so that a new connection is needed
			if err := query(t.Context(), db, "SELECT 1", new(any)); !database.Unavailable(err) {
				t.Errorf("%v", err)
			}
			opts.ConnectTimeout = time.Second
			if log, err := openError(t, opts); !database.Unavailable(err) {
				t.Errorf("open: %v\n%s", err, log)
			}
		})
	}
}

// A read-only server must not fork a process for each write that it refuses.
func TestPool_readOnlyServerIsNotReconnectedToForEachWrite(t *testing.T) {
	t.Parallel()
	c := dbtest.OwnCluster(t)
	db, m := open(t, c.Options)
	up(t, m)
	ctx, _ := newTenant(t, db)
	backends := map[int]bool{backend(t, db): true}
	readOnly(t, c, "on")
	begun := time.Now()
	for range 200 {
		if err := db.Client.Tenant.Update().SetName("Lost").Exec(ctx); !database.Unavailable(err) {
			t.Fatalf("write: %v", err)
		}
		backends[backend(t, db)] = true
	}
	if most := 3 + int(time.Since(begun).Seconds()); len(backends) < 2 || len(backends) > most {
		t.Errorf("%d backends served 200 writes, want 2 to %d", len(backends), most)
	}
}
