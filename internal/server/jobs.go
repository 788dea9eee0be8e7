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
	// forgetEvery is how often what no longer counts is removed.
	forgetEvery = time.Minute
	// trimEvery is how often the change log is trimmed.
	trimEvery = 30 * time.Second
	// countedExpired is how many expired rows are counted: more are many.
	countedExpired = 10_000
)

// expiringTables are the tables whose rows expire.
func expiringTables() []string {
	return []string{refreshtoken.Table, oauthstate.Table, onetimetoken.Table}
}

// Work does what no request waits for, until ctx is done. Every instance may do all of it.
func (s *Server) Work(ctx context.Context) {
	var jobs sync.WaitGroup
	jobs.Go(func() { s.db.FollowChanges(ctx, s.Cache, s.log) })
	jobs.Go(func() { s.Cache.MaintainShared(ctx) })
	jobs.Go(func() { s.every(ctx, trimEvery, "trim the change log", s.db.NewChangeTrimmer().Trim) })
	jobs.Go(func() { s.every(ctx, signing.MaintainEvery, "maintain signing keys", s.keys.Maintain) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "remove signing keys", s.keys.DeleteRetired) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "forget attempts", s.Limiter.DeleteExpired) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "mark revoked sessions", s.Sessions.NewRevokedMarker().Run) })
	jobs.Go(func() { s.every(ctx, forgetEvery, "encrypt client secrets", s.OAuth.NewResealer().Run) })
	// Sessions that were revoked stay until they are over by age, so that a token of theirs that
	// comes back is known.
	for _, table := range expiringTables() {
		jobs.Go(func() {
			s.every(ctx, forgetEvery, "remove expired "+table, func(ctx context.Context) error {
				return s.removeExpired(ctx, table)
			})
		})
	}
	jobs.Wait()
}

// removeExpired empties a table of what has expired. It says how much that was, and how much is
// left of what lives for minutes only: a table that grows is a flood.
func (s *Server) removeExpired(ctx context.Context, table string) error {
	now := s.clock()
	waiting, err := s.db.CountExpired(ctx, table, now, countedExpired)
	if err != nil {
		return err
	}
	s.metrics.expired.WithLabelValues(table).Set(float64(waiting))
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

// every runs a job again and again, for the first time at a random moment of the interval, so that
// instances that were started together do not run in step. A job that fails is tried again in its
// turn.
func (s *Server) every(ctx context.Context, interval time.Duration, name string, job func(context.Context) error) {
	// The first failure is seen as one only where there were none before.
	done, failed := s.metrics.jobs.WithLabelValues(name, "done"), s.metrics.jobs.WithLabelValues(name, "failed")
	select {
	case <-ctx.Done():
		return
	case <-time.After(rand.N(interval)): //nolint:gosec // nobody gains by guessing it
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
