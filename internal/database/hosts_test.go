package database_test

import (
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

func TestOpen_usesFirstHostThatReplies(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	dsn.Host = unused(t) + "," + dsn.Host
	opts.URL = dsn.String() + "&target_session_attrs=read-write"
	db := dbtest.Open(t, opts)
	newTenant(t, db)
}

func TestOpen_silentServerTimesOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	start := time.Now()
	_, err = database.Open(t.Context(), database.Options{
		URL: "postgres://tenantry@" + l.Addr().String() + "/tenantry?sslmode=disable", PoolSize: 1,
		ConnectTimeout: time.Second,
	}, slog.New(slog.DiscardHandler))
	if took := time.Since(start); !database.Unavailable(err) || took > 4*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}

// A host that is down may not reply at all. Only the first connection may wait for it.
func TestPool_silentHostDelaysFirstConnectionOnly(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	opts := dbtest.Postgres(t)
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	dsn.Host = l.Addr().String() + "," + dsn.Host
	opts.URL = dsn.String() + "&target_session_attrs=read-write&connect_timeout=2"
	db := dbtest.Open(t, opts)
	begun := time.Now()
	for range 4 {
		conn, err := db.SQL.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("4 connections took %s", took)
	}
}
