package database_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// A statement on a lost connection fails, since the server may have run it. So a connection that
// was closed while it was idle must not be used.
func TestPool_connectionClosedWhileIdleIsNotUsed(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	opts.PoolSize, opts.MaxOverflow = 8, 0
	wire := through(t, &opts)
	db := dbtest.Open(t, opts)
	ctx, _ := newTenant(t, db)
	for range 5 {
		var busy sync.WaitGroup
		for range 8 {
			busy.Go(func() { _ = query(ctx, db, "SELECT pg_sleep(0.2)", new(any)) })
		}
		busy.Wait()
		if n := wire.cut(); n < 4 {
			t.Fatalf("%d connections were cut", n)
		}
		for range 8 {
			if err := db.Client.Tenant.Update().SetName("Written").Exec(ctx); err != nil {
				t.Error(err)
			}
			if err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
				return tx.Tenant.Update().SetName("Written").Exec(ctx)
			}); err != nil {
				t.Error(err)
			}
		}
	}
}

// A statement whose reply is lost may have been run, so only the caller may run it again.
func TestWrite_lostReplyIsNotRetried(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	wire := through(t, &opts)
	db := dbtest.Open(t, opts)
	ctx, acme := newTenant(t, db)
	const slow = "UPDATE tenants SET name = name || '!' WHERE pg_sleep(0.3) IS NOT NULL"
	if _, err := db.Client.ExecContext(ctx, slow); err != nil { // prepares it
		t.Fatal(err)
	}
	lost := time.AfterFunc(100*time.Millisecond, func() { wire.cut() })
	defer lost.Stop()
	if _, err := db.Client.ExecContext(ctx, slow); !database.Unavailable(err) {
		t.Errorf("answered %v", err)
	}
	if _, err := db.Client.ExecContext(ctx, slow); err != nil { // waits for the lock of the lost statement
		t.Error(err)
	}
	if name := db.Client.Tenant.GetX(ctx, acme).Name; name != "Acme!!!" {
		t.Errorf("the tenant is called %q", name)
	}
}

// wire carries connections to Postgres until it is cut.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
}

// through returns opts with a wire in front of the database.
func through(t *testing.T, opts *database.Options) *wire {
	t.Helper()
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w, target := &wire{}, dsn.Host
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, client, server)
			w.mu.Unlock()
			go func() { _, _ = io.Copy(client, server) }()
			go func() { _, _ = io.Copy(server, client) }()
		}
	}()
	dsn.Host = listener.Addr().String()
	opts.URL = dsn.String()
	return w
}

// cut closes every connection without a message, and returns their number.
func (w *wire) cut() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	n := len(w.conns) / 2
	w.conns = nil
	return n
}
