package database_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tenantry/internal/cache"
	"tenantry/internal/database/dbtest"
)

// The reader has a separate connection, so the cache stays fresh while requests hold every
// connection of the pool.
func TestFollowChanges_fullPoolKeepsTheCacheFresh(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	opts.PoolSize, opts.MaxOverflow = 2, 0
	db := dbtest.Open(t, opts)
	c := cache.New(1 << 20)
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { db.FollowChanges(ctx, c, slog.New(slog.DiscardHandler)) })
	defer following.Wait()
	defer stop()
	confirmed := func() {
		t.Helper()
		for asked := time.Now(); c.Behind() > time.Since(asked); time.Sleep(time.Millisecond) {
			if time.Since(asked) > 30*time.Second {
				t.Fatal("the change log is not read")
			}
		}
	}
	confirmed()
	for range 2 {
		conn, err := db.SQL.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for range 5 {
		confirmed()
	}
}
