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
	// notice is how long the server goes on accepting after it has told that it is not ready, so
	// that balancers hear of it.
	notice = time.Second
	// drain is how long running requests may take to finish.
	drain = 30 * time.Second
)

// Run serves until ctx is done, then drains: readiness turns to 503, requests under way are
// answered, and the database is closed last. It returns at once, with the reason, when the database
// cannot be used safely any more. What an operator must see once goes to out.
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
	// A hash keeps one of Go's processors for as long as it takes; there are to be as many left as
	// there are cores.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + cfg.PasswordHashConcurrency))
	tracer, endTraces, err := OpenTraces(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer endTraces()
	parts := Parts{Config: cfg, DB: db, Hasher: NewHasher(cfg), Clock: Clock, Log: log, Tracer: tracer}
	s, err := New(ctx, parts)
	if err != nil {
		return err
	}
	// The address is taken before anything is promised about it.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	if err := Bootstrap(ctx, parts, out); err != nil {
		return errors.Join(err, listener.Close())
	}
	endOperations, err := s.serveOperations(ctx, cfg.OperationsListen, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer endOperations()
	log.InfoContext(ctx, "serving", "public_url", cfg.PublicURL, "address", listener.Addr().String(), "database",
		db.Dialect(), "version", Version())
	go debug.FreeOSMemory() // of what was needed to start, a third of it all
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	worked := make(chan struct{})
	go func() { defer close(worked); s.Work(working) }()
	err = s.serve(ctx, listener, log)
	stop()
	<-worked // before the database closes
	return err
}

// warnUnreachable warns of a server that listens for other machines and names itself by a URL that
// is good on this one only.
func warnUnreachable(ctx context.Context, cfg config.Config, log *slog.Logger) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || !cfg.PublicURLDefault {
		return
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.Unmap().IsUnspecified()) {
		return
	}
	log.WarnContext(ctx, "TENANTRY_PUBLIC_URL is not set although the server listens on every interface: tokens name "+
		cfg.PublicURL+
		" as issuer and audience, so services on other machines that check it refuse them, and OAuth providers "+
		"redirect browsers to it; "+
		"set it to the URL that clients use")
}

// serveOperations serves operators on an address of their own, if there is one, until end is
// called.
func (s *Server) serveOperations(ctx context.Context, address string, log *slog.Logger) (end func(), err error) {
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
			log.WarnContext(ctx, "operators are not served any more", "error", err)
		}
	}()
	log.InfoContext(ctx, "serving operators", "address", listener.Addr().String())
	return func() { _ = srv.Close() }, nil
}

func (s *Server) serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           s.sendAway(s.Handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    12 << 10, // net/http adds 4 KiB, which makes 16
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(bounded{listener, make(chan struct{}, maxConnections)}) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case err := <-s.db.Failed():
		// Requests under way are cut off: what they read may be another statement's answer.
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	log.Info("stopping: finishing the requests under way")
	s.draining.Store(true)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(notice):
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(stopping); err != nil {
		return fmt.Errorf("requests were still running after %s: %w", drain, err)
	}
	return nil
}

// sendAway closes each connection with its next answer once the server is told to stop. A
// connection that Shutdown finds idle it closes at once, although a client may be writing to it
// just then: that request would be lost, and who sent a POST may not send it again by itself (RFC
// 9112 §9.3.1).
func (s *Server) sendAway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// migrateAtStart migrates SQLite, and Postgres if it is asked to. Otherwise it refuses to serve an
// older schema.
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

// CheckMigrated refuses a database that is behind this build.
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
				return errors.New("the database is not migrated: run `tenantry migrate up`, or start with --migrate")
			}
		}
		return nil
	})
}

// DatabaseOptions returns how a configuration opens the database.
func DatabaseOptions(cfg config.Config) database.Options {
	return database.Options{
		URL: cfg.DatabaseURL, DataDir: cfg.DataDir, PoolSize: cfg.DBPoolSize,
		MaxOverflow: cfg.DBMaxOverflow, PoolDefault: cfg.DBPoolDefault, Prepared: cfg.DBPrepared,
	}
}
