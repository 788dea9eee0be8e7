package apitest

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/routers"

	"tenantry/ent"
	"tenantry/ent/schema/settings"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/server"
)

// Instance is a running server on a database of its own, with the first tenant and its owner.
type Instance struct {
	testing.TB
	Options database.Options
	DB      *database.DB
	Server  *server.Server
	URL     string
	Logs    *LogBuffer
	Routes  routers.Router
	// FlushTraces exports all ended spans.
	FlushTraces func()
	// Secrets are the secrets of requests and responses, which the log must not contain.
	Secrets *Secrets
	// Except are the invariants that the test itself violates.
	Except []string
	// StopJobs ends the background jobs of the instance and waits for them.
	StopJobs func()
}

// Start runs a server on a migrated database.
func Start(t testing.TB, opts database.Options, change ...func(*config.Config)) *Instance {
	t.Helper()
	return StartAt(t, opts, func() time.Time { return time.Now().UTC() }, change...)
}

// StartAt is Start with a clock.
func StartAt(t testing.TB, opts database.Options, clock func() time.Time, change ...func(*config.Config)) *Instance {
	t.Helper()
	cfg := Config(opts)
	for _, c := range change {
		c(&cfg)
	}
	logs := &LogBuffer{}
	log, flush := server.NewLogger(config.Config{LogLevel: slog.LevelDebug}, logs)
	logs.flush = flush
	db, err := database.Open(t.Context(), opts, log)
	if err != nil {
		t.Fatal(err)
	}
	hasher := password.NewHasher(password.HashOptions{
		Concurrency: cfg.PasswordHashConcurrency, MemoryKiB: cfg.PasswordHashMemory, Time: cfg.PasswordHashTime,
	})
	tracer, closeTraces, err := server.OpenTraces(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	parts := server.Parts{Config: cfg, DB: db, Hasher: hasher, Clock: clock, Log: log, Tracer: tracer}
	if err := server.Bootstrap(t.Context(), parts, io.Discard); err != nil {
		t.Fatal(err)
	}
	openRegistration(t, db)
	s, err := server.New(t.Context(), parts)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(nil)
	web.Config, web.Listener = s.HTTP(log), server.Bound(web.Listener)
	web.Start()
	working, stop := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	jobs.Go(func() { s.Work(working) })
	i := &Instance{
		TB: t, Options: opts, DB: db, Server: s, URL: web.URL, Logs: logs, Routes: ContractRoutes(t),
		FlushTraces: closeTraces, Secrets: &Secrets{},
		StopJobs: func() { stop(); jobs.Wait() },
	}
	t.Cleanup(func() {
		web.Close()
		i.StopJobs()
		closeTraces()
		if !t.Failed() {
			checkInvariants(t, db, i.Except)
			i.Secrets.AssertAbsent(t, logs.String())
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// openRegistration opens registration in the first tenant, unless a test has set it.
func openRegistration(t testing.TB, db *database.DB) {
	t.Helper()
	ctx := principal.System(t.Context(), "test")
	first := db.Client.Tenant.Query().Where(tenant.Slug("acme")).FirstX(ctx)
	if first.Settings.Registration == "" {
		first.Settings.Registration = settings.RegistrationOpen
		db.Client.Tenant.UpdateOne(first).SetSettings(first.Settings).ExecX(ctx)
	}
}

// Forget empties the cache.
func (s *Instance) Forget() { s.Server.Cache.Reset() }

// CatchUp waits until the cache has applied every change that was committed before the call.
func (s *Instance) CatchUp() {
	for called := time.Now(); s.Server.Cache.Behind() > time.Since(called); {
		time.Sleep(time.Millisecond)
	}
}

// WaitUntilShared waits until the cache uses Redis.
func (s *Instance) WaitUntilShared() {
	for !s.Server.Cache.Shares() {
		time.Sleep(time.Millisecond)
	}
}

// Owner returns the first user.
func (s *Instance) Owner() *ent.User {
	s.Helper()
	u, err := s.DB.Client.User.Query().Where(user.Email(OwnerEmail)).Only(principal.System(s.Context(), "test"))
	if err != nil {
		s.Fatal(err)
	}
	return u
}
