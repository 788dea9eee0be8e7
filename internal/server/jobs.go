package server

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"tenantry/ent/oauthstate"
	"tenantry/ent/onetimetoken"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/signing"
)

const (
	// cleanupEvery is how often expired and obsolete rows are removed.
	cleanupEvery = time.Minute
	// trimEvery is how often the change log is trimmed.
	trimEvery = 30 * time.Second
	// maxCountExpired bounds the count of expired rows.
	maxCountExpired = 10_000
)

// expiringTables are the tables whose rows expire.
func expiringTables() []string {
	return []string{refreshtoken.Table, oauthstate.Table, onetimetoken.Table}
}

// Work runs the background jobs until ctx is done. Every instance may run all of them.
func (s *Server) Work(ctx context.Context) {
	var jobs sync.WaitGroup
	jobs.Go(func() { s.db.FollowChanges(ctx, s.Cache, s.log) })
	jobs.Go(func() { s.Cache.MaintainShared(ctx) })
	jobs.Go(func() { s.every(ctx, trimEvery, "trim the change log", s.db.NewChangeTrimmer().Trim) })
	jobs.Go(func() { s.every(ctx, signing.MaintainEvery, "maintain signing keys", s.keys.Maintain) })
	jobs.Go(func() { s.every(ctx, cleanupEvery, "remove signing keys", s.keys.DeleteRetired) })
	jobs.Go(func() { s.every(ctx, cleanupEvery, "forget attempts", s.Limiter.DeleteExpired) })
	jobs.Go(func() { s.every(ctx, cleanupEvery, "mark revoked sessions", s.Sessions.NewRevokedMarker().Run) })
	jobs.Go(func() { s.every(ctx, cleanupEvery, "encrypt client secrets", s.OAuth.NewResealer().Run) })
	// A revoked session is kept until it expires, so that reuse of its tokens is detected.
	for _, table := range expiringTables() {
		jobs.Go(func() {
			s.every(ctx, cleanupEvery, "remove expired "+table, func(ctx context.Context) error {
				return s.removeExpired(ctx, table)
			})
		})
	}
	jobs.Wait()
}

// removeExpired deletes the expired rows of a table and records their number. For tables whose rows
// expire within minutes it also records the remaining rows: growth indicates a flood of requests.
func (s *Server) removeExpired(ctx context.Context, table string) error {
	now := s.clock()
	expired, err := s.db.CountExpired(ctx, table, now, maxCountExpired)
	if err != nil {
		return err
	}
	s.metrics.expired.WithLabelValues(table).Set(float64(expired))
	removed := int64(0)
	for n, err := range s.db.DeleteExpired(ctx, table, now) {
		if err != nil {
			return err
		}
		s.metrics.removed.WithLabelValues(table).Add(float64(n))
		removed += n
	}
	s.metrics.expired.WithLabelValues(table).Set(0)
	attrs := []slog.Attr{slog.String("table", table), slog.Int64("removed", removed)}
	if table != refreshtoken.Table {
		left, err := s.db.CountRows(ctx, table)
		if err != nil {
			return err
		}
		s.metrics.rows.WithLabelValues(table).Set(float64(left))
		attrs = append(attrs, slog.Int64("left", left))
	}
	if removed == 0 {
		return nil
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "removed expired rows", attrs...)
	return nil
}

// every runs a job at an interval, first at a random time within it, so that instances that start
// together do not run the job at the same time. A failed job is logged and runs again after the
// interval.
func (s *Server) every(ctx context.Context, interval time.Duration, name string, job func(context.Context) error) {
	// Prometheus sees a first increase only if the series has a 0 before it.
	done, failed := s.metrics.jobs.WithLabelValues(name, "done"), s.metrics.jobs.WithLabelValues(name, "failed")
	select {
	case <-ctx.Done():
		return
	case <-time.After(rand.N(interval)): //nolint:gosec // not a secret
	}
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		if err := job(ctx); err == nil {
			done.Inc()
		} else if ctx.Err() == nil {
			failed.Inc()
			s.log.LogAttrs(ctx, slog.LevelWarn, "job failed", slog.String("job", name), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}
