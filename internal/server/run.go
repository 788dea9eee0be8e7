package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"entgo.io/ent/dialect"

	"tenantry/internal/config"
	"tenantry/internal/database"
)

const (
	// drainDelay is how long the server still accepts requests while /readyz answers 503, so that
	// load balancers see it.
	drainDelay = time.Second
	// drainTimeout is how long running requests may take to finish.
	drainTimeout = 30 * time.Second
)

// Run serves until ctx is done, then drains: /readyz answers 503, running requests are answered,
// and the database is closed last. It returns an error at once if the database can no longer be
// used safely. It prints the credentials of the first superuser to out.
func Run(ctx context.Context, cfg config.Config, out io.Writer, log *slog.Logger) (err error) {
	cfg, err = WithSecret(ctx, cfg, log)
	if err != nil {
		return err
	}
	warnUnreachable(ctx, cfg, log)
	db, err := database.Open(ctx, DatabaseOptions(cfg), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrateAtStart(ctx, cfg, db, log); err != nil {
		return err
	}
	if cfg.NotifyURL != "" {
		log.WarnContext(ctx, "TENANTRY_NOTIFY_URL is ignored: changes are read from the change log in "+
			"TENANTRY_DATABASE_URL")
	}
	// An argon2 computation occupies a processor: add one for each concurrent hash, so that as many
	// remain as there are cores.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + cfg.PasswordHashConcurrency))
	tracer, closeTraces, err := OpenTraces(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer closeTraces()
	parts := Parts{Config: cfg, DB: db, Hasher: NewHasher(cfg), Clock: Clock, Log: log, Tracer: tracer}
	s, err := New(ctx, parts)
	if err != nil {
		return err
	}
	// Listen before the bootstrap prints the server's address.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	if err := Bootstrap(ctx, parts, out); err != nil {
		return errors.Join(err, listener.Close())
	}
	closeOperations, err := s.serveOperations(ctx, cfg.OperationsListen, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer closeOperations()
	log.InfoContext(ctx, "serving", "public_url", cfg.PublicURL, "address", listener.Addr().String(), "database",
		db.Dialect(), "version", Version())
	go debug.FreeOSMemory() // a third of the memory is needed only at start
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.Work(working) }()
	err = s.serve(ctx, listener, log)
	stop()
	<-stopped // before the database closes
	return err
}

// warnUnreachable warns if the server listens for other machines and its public URL is valid only
// on this one.
func warnUnreachable(ctx context.Context, cfg config.Config, log *slog.Logger) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || !cfg.PublicURLDefault {
		return
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.Unmap().IsUnspecified()) {
		return
	}
	log.WarnContext(ctx, "TENANTRY_PUBLIC_URL is not set although the server listens on every interface: "+
		cfg.PublicURL+" is the issuer and audience of tokens, so that services on other machines refuse them, and "+
		"OAuth providers redirect browsers to it; set it to the URL that clients use")
}

// serveOperations serves operators on an address of its own, if it is configured, until stop is
// called.
func (s *Server) serveOperations(ctx context.Context, address string, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	srv := &http.Server{Handler: s.Operations, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.WarnContext(ctx, "operations listener stopped", "error", err)
		}
	}()
	log.InfoContext(ctx, "serving operations", "address", listener.Addr().String())
	return func() { _ = srv.Close() }, nil
}

// HTTP returns the HTTP server of the API, for a listener of Bound.
func (s *Server) HTTP(log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           s.closeWhileDraining(s.Handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    12 << 10, // net/http adds 4 KiB, which makes 16
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	srv := s.HTTP(log)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(Bound(listener)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case err := <-s.db.Failed():
		// Running requests are aborted: they may read the result of another statement.
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	log.Info("stopping: finishing running requests")
	s.draining.Store(true)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(drainDelay):
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(stopping); err != nil {
		return fmt.Errorf("requests were still running after %s: %w", drainTimeout, err)
	}
	return nil
}

// closeWhileDraining closes each connection with its next response while the server drains.
// Shutdown closes idle connections at once, although a client may be writing a request to one: the
// request would be lost, and a client must not repeat a POST by itself (RFC 9112 §9.3.1).
func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// migrateAtStart migrates SQLite, and Postgres if --migrate is set. Otherwise it refuses a database
// with pending migrations.
func migrateAtStart(ctx context.Context, cfg config.Config, db *database.DB, log *slog.Logger) error {
	if !cfg.Migrate && db.Dialect() != dialect.SQLite {
		return CheckMigrated(ctx, db, log)
	}
	return database.WithMigrator(db, func(m *database.Migrator) error {
		applied, err := m.Up(ctx)
		for _, v := range applied {
			log.InfoContext(ctx, "migrated", "version", v.Version, "name", v.Name)
		}
		return err
	})
}

// CheckMigrated refuses a database with pending migrations.
func CheckMigrated(ctx context.Context, db *database.DB, log *slog.Logger) error {
	return database.WithMigrator(db, func(m *database.Migrator) error {
		versions, err := m.Status(ctx)
		if errors.Is(err, database.ErrNewer) {
			log.WarnContext(ctx, err.Error())
			return nil
		}
		if err != nil {
			return err
		}
		for _, v := range versions {
			if !v.Applied {
				return errors.New("the database has pending migrations: run `tenantry migrate up`, or start with " +
					"--migrate")
			}
		}
		return nil
	})
}
