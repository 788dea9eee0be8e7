package faults_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestSQLite_keepsAcknowledgedWritesAfterSIGKILL(t *testing.T) {
	opts := dbtest.EmptySQLite(t)
	p := serve(t, opts)
	openRegistration(t, p)
	web := newClient(p).web
	book := &ledger{}
	for n := range 4 {
		expect(t, http.StatusCreated)(book.register(t.Context(), &client{url: p.url, web: web}, n))
	}
	writers := book.accounts[:4:4]
	for range size(3, 50) {
		known := len(book.accounts)
		stop := write(t, book, writers, &client{url: p.url, web: web})
		enough := book.count() + 20 + rand.IntN(100)
		within(t, 30*time.Second, "writes are acknowledged", func() bool { return book.count() > enough })
		p.kill(t)
		stop()
		p = serve(t, opts)
		book.holdAgainst(t, p, known)
		for _, w := range writers {
			w.url = p.url
		}
	}
	book.holdAgainst(t, p, 0)
	t.Logf("%d writes, of %d accounts, were acknowledged", book.count(), len(book.accounts))
	p.kill(t)
	checkIntegrity(t, opts)
}

// write registers new users and renames the writers until it is stopped, or the server does not
// respond.
func write(t *testing.T, book *ledger, writers []*account, registrar *client) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	again := func(do func() (answer, error)) {
		for ctx.Err() == nil {
			a, err := do()
			if err != nil {
				return
			}
			if failed(a.status) {
				t.Errorf("status %d %s", a.status, a.Code)
			}
		}
	}
	for _, w := range writers {
		wait.Go(func() { again(func() (answer, error) { return book.rename(ctx, w) }) })
	}
	wait.Go(func() {
		again(func() (answer, error) { return book.register(ctx, registrar, rand.Int()) })
	})
	return func() {
		cancel()
		wait.Wait()
	}
}

func checkIntegrity(t testing.TB, opts database.Options) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(opts.DataDir, database.SQLiteFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("integrity check: %q, %v", result, err)
	}
}
